# %% [markdown]
# # 1 · Installation: what starts, and who does what
#
# This lesson starts a small service mesh on your own machine and looks inside it. You don't need to know anything about Istio. It takes about
# fifteen minutes.
#
# How to use it: read a cell, then press **Shift + Enter**. You can't break anything. To start over, choose *Kernel → Restart Kernel*. After a
# restart you need not run a whole lesson again: `from labkit.lessons import catch_up`, then `catch_up("Apply a manifest")` in a new cell brings
# you to the section with that heading.

# %% [markdown]
# ## Objectives
#
# After this lesson you can
#
# - say what a service mesh is, in one sentence;
# - tell the **control plane** from the **data plane**, and name the program behind each one;
# - show that a line of YAML ends up in the configuration of a running proxy;
# - explain how Istio is installed on a real cluster.

# %% tags=["parameters", "nbval-ignore-output"]
backend = "embedded"  # which mesh: "embedded" runs on this machine and needs nothing else
scale = "small"  # how many requests the lessons send
seed = 1  # for what a lesson draws at random

# %% [markdown]
# ## The idea in short
#
# A **microservice** is a small program that answers requests from other programs over the network. A shop may have one for prices, one for
# stock and one for payments. Each of them has to find the others, share the load, and cope when one of them fails.
#
# A **proxy** is a program that sits between a caller and a service and passes requests on. A **service mesh** puts a proxy next to each
# microservice and configures all of them from one place. So the traffic rules live outside the programs, and can change while everything is
# running. **Istio** is such a mesh. Its proxy is called **Envoy**. Istio runs on **Kubernetes**, a system that runs programs on a group of
# machines, called a **cluster**.
#
# | part | does | program |
# |---|---|---|
# | **control plane** | reads your configuration, checks it, tells every proxy what to do | `istiod` |
# | **data plane** | carries each request | the Envoys |
#
# ```text
#             your configuration, in YAML
#                      |
#                      v
#                 +--------+
#                 | istiod |                          control plane
#                 +--------+
#                  :      :
#            config :      : config
#                  v      v
#            +-------+  +----------------------+
# caller --> | Envoy |->| Envoy -> application |     data plane
#            +-------+  +----------------------+
#             at the     next to each application
#             edge
# ```
#
# No request goes through the control plane. If it stops, the proxies carry on with the last configuration they received.

# %% [markdown]
# ## Start the mesh
#
# The next cell starts the mesh of this course. Its Envoys are real. What `istiod` does on a cluster, turning your manifests into
# configuration for Envoy, `labkit` does here, in this Python process. What it produces is tested against a real `istiod`. (With `backend =
# "cluster"` in the cell above, the same lesson runs on a cluster of your own, with its real `istiod`; the end of the lesson says how to get
# one.)
#
# **Predict:** no application is installed yet. Will any proxy be running already? Which one would be useful now?

# %% tags=["nbval-ignore-output"]
import json

import labkit
from labkit.lessons import check, course_map, finish_lesson, manifest, predict, reveal, show, start_lesson, task

start_lesson("01")
mesh = labkit.open_mesh(backend)

# %% [markdown]
# ## Look at what runs
#
# Some Kubernetes terms:
#
# - A **pod** is one running copy of a program, with its own address.
# - A **container** is one program inside a pod. A pod can have several; they start and stop together.
# - A **namespace** is like a folder for pods and other objects. Istio's own objects are in `istio-system`.
#
# On a cluster you would type `kubectl get pods -n istio-system`. (**kubectl** is the command-line tool for Kubernetes.) Here it is a Python
# call, and the table is the same.

# %% tags=["nbval-ignore-output"]
mesh.wait_for(lambda: all(pod.is_ready for pod in mesh.pods(namespace="istio-system")), "Istio's pods to be ready")
mesh.get("pods", namespace="istio-system")

# %% [markdown]
# There is one pod, the **ingress gateway**. It is an Envoy at the edge of the mesh: requests from outside come in here. `READY 1/1` means
# that the pod has one container, and that it is ready. On a cluster there is a second pod, `istiod`.

# %% tags=["check", "nbval-check-output", "covers-C2"]
pods = mesh.pods(namespace="istio-system")
if mesh.backend == "cluster":  # on your own machine labkit does istiod's work
    assert any(pod.name.startswith("istiod") for pod in pods), "there is no istiod"
gateways = [pod for pod in pods if "ingressgateway" in pod.name]
check.equal([pod.ready for pod in gateways], ["1/1"], "the ingress gateway runs: 1/1")

# %% [markdown]
# ## What does the gateway know?
#
# An Envoy can show its whole configuration: the **configuration dump**. A **listener** is a port on which it waits for requests. The
# listeners that serve our requests have names such as `0.0.0.0_8080`: any address, port 8080.
#
# **Predict:** nothing has been configured yet. Is there a listener for port 8080?

# %% tags=["nbval-ignore-output"]
before = json.dumps(mesh.config("gateway"))
print(f"{len(before)} characters of configuration; listener 0.0.0.0_8080 in it: {'0.0.0.0_8080' in before}")

# %% tags=["check", "nbval-check-output"]
check.that("0.0.0.0_8080" not in before, "with no configuration the gateway does not listen")

# %% [markdown]
# ## Apply a manifest
#
# You say what you want in **manifests**: text in a format called YAML, where indentation shows what belongs to what. Each manifest describes
# one object: its `kind`, its name, and under `spec` what you want.
#
# First a namespace for our objects, then an object of kind `Gateway`: a door into the mesh.

# %% tags=["nbval-ignore-output"]
show("01_installation/gateway.yaml")

# %% [markdown]
# In words: on the pods that carry the label `istio: ingressgateway`, open port 80 for requests to the host `test.example.com`.
# A **label** is a key and a value attached to an object, so that other objects can select it. A `-` begins an entry of a list: here there is
# one server, with one host.
#
# To **apply** a manifest is to hand it to the control plane. Our call returns once the Envoys concerned really have the new configuration.

# %% tags=["nbval-ignore-output"]
print(mesh.apply(manifest("01_installation/namespace.yaml"), manifest("01_installation/gateway.yaml")))
after = json.dumps(mesh.config("gateway"))
print(f"{len(after)} characters of configuration; listener 0.0.0.0_8080 in it: {'0.0.0.0_8080' in after}")

# %% tags=["check", "nbval-check-output", "covers-K1"]
kept = mesh.resource("Gateway", "hello-world-gateway")  # what you applied, as the control plane stores it
assert kept.spec["servers"][0]["hosts"] == ["test.example.com"]
check.that("0.0.0.0_8080" in after, "the control plane turned the manifest into a listener of the gateway")

# %% [markdown]
# We asked for port 80, but Envoy listens on 8080. That is on purpose: programs without special privileges may not open ports below 1024, so
# what arrives at the gateway's port 80 is forwarded to port 8080 of its pod.
#
# ## Does the data plane answer?
#
# **curl** is a program that sends a request and prints the answer. `mesh.curl` does the same here.
#
# **Predict:** the door is open, but there is no application behind it. What does a caller get: no answer, or an error? From whom?
# Click your guess (or write it in place of the dots, and run the cell again). It is remembered, and the lesson comes back to it.

# %% tags=["nbval-ignore-output"]
predict("01-a", ..., options=["no answer at all", "an error from the gateway", "an error from istiod"])

# %% tags=["nbval-ignore-output"]
result = mesh.curl("http://test.example.com/")
print(reveal("01-a", "an error from the gateway", "It is an Envoy, and it answers where it has no route"))
result

# %% [markdown]
# The answer has the **status** 404: "not found". In HTTP, the protocol of the web, every answer has such a number; 200 is "OK". Only Envoy
# can have sent it, since nothing else is running. It identifies itself in a header, a line of metadata that travels with the answer, and it
# says why in its log: `NR` is short for "no route". Without the door nothing would listen, and the connection would be *refused*: no answer.

# %% tags=["check", "nbval-check-output", "covers-K1"]
assert result[0].headers["server"] == "istio-envoy"
assert result.flags == {"NR": 1}, result.flags
check.status_counts(result, {404: 1}, about="Envoy itself answered")

# %% [markdown]
# ## The control plane says no
#
# The control plane's second job is to reject what it can't understand, before it reaches any proxy.
# The next manifest has one letter wrong. **Predict:** what will the message tell you?

# %% tags=["nbval-ignore-output"]
print(show("01_installation/misspelt.yaml"))
try:
    mesh.apply(manifest("01_installation/misspelt.yaml"))
except labkit.LabkitError as refusal:
    print(refusal)

# %% tags=["check", "nbval-check-output", "covers-K1"]
check.refused(lambda: mesh.apply(manifest("01_installation/misspelt.yaml")), "selektor", "did you mean")

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# **1.** How many listeners does the gateway have now? Envoy keeps many statistics about itself. Run
# `mesh.stats("gateway", "total_listeners_active")` in a new cell (the button **+** adds one), and look at the table. Then write `answer = ` and
# the number into the cell that says *Your turn*. Stuck? Run `task("01-1").hint()` in a new cell, as often as you like.

# %% tags=["exercise", "nbval-ignore-output"]
answer = None

# %% tags=["solution", "nbval-ignore-output"]
answer = int(mesh.stats('gateway', 'total_listeners_active')['value'].iloc[0])

# %% tags=["exercise", "check", "nbval-check-output"]
task("01-1").check(answer, mesh)

# %% [markdown] tags=["exercise"]
# **2.** Open a second door: for the same host, Envoy shall answer on port 443 too, and on port 80 as before, both with plain HTTP
# (`mesh.curl("http://test.example.com:443/")` tries the new one). `mesh.apply` also takes YAML as text: copy what
# `print(show("01_installation/gateway.yaml"))` prints, change it, and put it between `mesh.apply("""` and `""")`. To apply an object whose kind
# and name are there already is to *replace* it.

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(manifest("01_installation/two-doors.yaml"))

# %% tags=["exercise", "check", "nbval-check-output"]
task("01-2").check(mesh)

# %% [markdown] tags=["exercise"]
# **3.** An open problem. A colleague says: "I have applied our Gateway, and kubectl said it was created. Yet callers don't even get an error of
# Envoy's: the connection is refused." The next cell makes the mesh that it is about. Look around, and mend it;
# `show(mesh.resource("Gateway", "hello-world-gateway"))` shows the object that he means.

# %% tags=["nbval-ignore-output"]
task("01-3").prepare(mesh)

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(manifest("01_installation/gateway.yaml"))

# %% tags=["exercise", "check", "nbval-check-output"]
task("01-3").check(mesh)

# %% [markdown]
# ## Going deeper: what `istiod` used to be
#
# The lesson proper ends here; you may go on to lesson 2, and come back when you need a cluster. Run the last cell, *Clean up*, either way.
#
# `istiod` is three things in one program. They used to be separate programs, and older texts still use their names:
#
# | job | formerly called | seen above |
# |---|---|---|
# | turn manifests into configuration for the proxies | Pilot | the new listener |
# | check the manifests | Galley | the refusal |
# | give each proxy a certificate, so that proxies can identify each other | Citadel | not on this mesh: it needs a cluster |

# %% [markdown] tags=["covers-C3"]
# ## Going deeper: on a real cluster
#
# **Minikube** is a program that runs a small Kubernetes cluster on one machine. Older texts install Istio there with two add-ons: `minikube
# addons enable istio-provisioner`, then `minikube addons enable istio`. Both commands end with *enabled* and exit status 0, but that only
# says that some manifests were sent. The first add-on relies on an operator, a program inside the cluster that installs Istio: if its image
# can't be pulled, its pod stays in `ErrImagePull`, and no Istio ever comes. And Istio dropped the operator after version 1.23, so the add-ons
# can't install a newer Istio, and this course is made for 1.24 and newer.
#
# What works today:
#
# - `istioctl install --set profile=default`: Istio's own tool, and the method that the project recommends;
# - **Helm**, a package manager for Kubernetes: first the chart `base`, then `istiod`, then `gateway`.
#   A **chart** is Helm's word for a package. The last one makes the gateway listen on port 80 of its pod. `labkit up` sets 8080, as istioctl does.
#
# In a terminal, `labkit up --minikube` does all of this: it starts Minikube, uses the first of these methods that your tools allow, and shows
# each command before running it. `labkit up` alone installs Istio on the cluster that you already have. `labkit doctor` tells you what is
# missing, and `labkit down` undoes everything.
#
# After either one you find `istiod` and `istio-ingressgateway` in `istio-system`, and Kubernetes knows Istio's kinds of objects: `kubectl get
# crd` lists their definitions (**CRDs**, custom resource definitions). A cluster's gateway has a few listeners besides those that you ask
# for: one for Kubernetes' health checks, another for metrics.
#
# `minikube tunnel` then gives the gateway an address of its own; it asks for your password. `kubectl port-forward`, which forwards a port of
# your machine into the cluster, doesn't need one, so this course uses it.
#
# The next cell shows all three methods, with the commands to type, the best one first. `install_method` picks one for the tools that you
# have. **Predict:** somebody has Minikube and nothing else. Which version of Istio can they install?

# %% tags=["nbval-ignore-output"]
from labkit.lessons import INSTALL_METHODS, install_method

print(*INSTALL_METHODS, sep="\n\n")

# %% tags=["check", "nbval-check-output", "covers-C1", "covers-K13"]
check.equal(install_method(["minikube", "helm", "istioctl"]).name, "istioctl", "istioctl comes first")
check.equal(install_method(["minikube", "helm"]).name, "helm", "then Helm")
check.equal(install_method(["minikube"], version=(1, 23)).name, "minikube add-ons", "the add-ons, for the last Istio that they support")
check.refused(lambda: install_method(["minikube"], version=(1, 24)), "istioctl", "Helm", about="the add-ons, for a newer Istio")

# %% [markdown]
# ## Recap
#
# - A service mesh is a proxy next to each service, and one place that configures all the proxies.
# - The control plane (`istiod`) reads and checks the configuration and distributes it. The data plane (Envoy) carries the requests.
# - An applied manifest shows up in a running Envoy: you can look it up in the configuration dump.
# - Envoy can answer by itself: 404 with `NR` means that it has no matching route.
#
# ## Clean up
#
# This call stops the mesh; closing the notebook would stop it too. The table below is the map of the course: what you have done, and what comes next.

# %% tags=["nbval-ignore-output"]
mesh.close()
finish_lesson("01")
course_map()
