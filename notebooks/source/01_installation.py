# %% [markdown]
# # 1 · Installation: what starts, and who does what
#
# This lesson starts a small service mesh on your own machine and looks inside it. You need no knowledge of Istio.
# It takes about fifteen minutes.
#
# How to use it: read a cell, then press **Shift + Enter**. Nothing can break. To begin again, choose *Kernel → Restart Kernel*.

# %% [markdown]
# ## Objectives
#
# After this lesson you can
#
# - say what a service mesh is, in one sentence;
# - tell the **control plane** from the **data plane**, and name the program behind each;
# - show that a line of YAML becomes configuration of a running proxy;
# - say how Istio is installed on a real cluster.

# %% tags=["parameters", "nbval-ignore-output"]
backend = "embedded"  # which mesh: "embedded" runs on this machine and needs nothing else
scale = "small"  # how many requests the lessons send
seed = 1  # for whatever a lesson draws by chance itself

# %% [markdown]
# ## The idea in short
#
# A **microservice** is a small program that answers requests of other programs over the network. A shop may have one
# for prices, one for stock, one for payment. Each of them must find the others, share the load, and cope when one fails.
#
# A **proxy** is a program that stands between caller and callee and passes requests on. A **service mesh** puts a
# proxy beside each microservice and gives all proxies their orders from one place. So the rules of the traffic live
# outside of the programs, and can change while everything runs. **Istio** is such a mesh. Its proxy is called **Envoy**.
# Istio runs on **Kubernetes**, a system that runs programs on a group of machines, a **cluster**.
#
# | part | does | program |
# |---|---|---|
# | **control plane** | reads your wishes, checks them, tells every proxy what to do | `istiod` |
# | **data plane** | carries each request | the Envoys |
#
# ```text
#             your wishes, in YAML
#                      |
#                      v
#                 +--------+
#                 | istiod |                          control plane
#                 +--------+
#                  :      :
#           orders :      : orders
#                  v      v
#            +-------+  +----------------------+
# caller --> | Envoy |->| Envoy -> application |     data plane
#            +-------+  +----------------------+
#             at the     beside each application
#             border
# ```
#
# No request goes through the control plane. If it stops, the proxies go on with their last orders.

# %% [markdown]
# ## Start the mesh
#
# The next cell starts the mesh of this course. Its Envoys are the real ones. What `istiod` does on a cluster, turning
# your wishes into orders for Envoy, is here done by `labkit`, in this very Python process. Its orders are tested
# against those of a real `istiod`. (With `backend = "cluster"` in the cell above, the same lesson runs on a cluster of
# yours, with its real `istiod`; the end of the lesson says how to get one.)
#
# **Predict:** no application is installed yet. Will any proxy run already? Which one would be useful now?

# %% tags=["nbval-ignore-output"]
import json

import labkit
from labkit.lessons import check, course_map, finish_lesson, manifest, show, start_lesson, task

mesh = labkit.open_mesh(backend)
start_lesson("01")

# %% [markdown]
# ## Look at what runs
#
# Some words of Kubernetes:
#
# - A **pod** is one running copy of a program, with an address of its own.
# - A **container** is one program inside a pod. A pod can have several; they start and end together.
# - A **namespace** is a folder for pods and other objects. Istio's own things are in `istio-system`.
#
# On a cluster you would type `kubectl get pods -n istio-system`. (**kubectl** is the command by which one talks to Kubernetes.)
# Here it is a call, and the table is the same.

# %% tags=["nbval-ignore-output"]
mesh.wait_for(lambda: all(pod.is_ready for pod in mesh.pods(namespace="istio-system")), "Istio's pods to be ready")
mesh.get("pods", namespace="istio-system")

# %% [markdown]
# There is one pod, the **ingress gateway**. It is an Envoy at the border of the mesh: requests from outside come in here.
# `READY 1/1` means: the pod has one container, and it is ready. On a cluster there is a second pod, `istiod`.

# %% tags=["check", "nbval-check-output", "covers-C2"]
pods = mesh.pods(namespace="istio-system")
if mesh.backend == "cluster":  # on your own machine labkit does the work of istiod
    assert any(pod.name.startswith("istiod") for pod in pods), "there is no istiod"
gateways = [pod for pod in pods if "ingressgateway" in pod.name]
check.equal([pod.ready for pod in gateways], ["1/1"], "the ingress gateway runs: 1/1")

# %% [markdown]
# ## What does the gateway know?
#
# An Envoy can show all the orders that it has: its **configuration dump**. A **listener** is a port on which it waits
# for requests. Listeners that serve requests of ours have names such as `0.0.0.0_8080`: any address, port 8080.
#
# **Predict:** nobody has told the gateway anything. Is there a listener for port 8080?

# %% tags=["nbval-ignore-output"]
before = json.dumps(mesh.config("gateway"))
print(f"{len(before)} characters of configuration; listener 0.0.0.0_8080 in it: {'0.0.0.0_8080' in before}")

# %% tags=["check", "nbval-check-output"]
check.that("0.0.0.0_8080" not in before, "without orders the gateway does not listen")

# %% [markdown]
# ## Give an order
#
# Wishes are written as **manifests**: text in a format called YAML, where indentation shows what belongs to what.
# Each manifest describes one object: its `kind`, its name, and under `spec` what you want.
#
# First a namespace for our things, then an object of kind `Gateway`: a door into the mesh.

# %% tags=["nbval-ignore-output"]
show("01_installation/gateway.yaml")

# %% [markdown]
# In words: on the pods that carry the label `istio: ingressgateway`, open port 80 for requests to the host `test.example.com`.
# A **label** is a word pair stuck to an object, by which others find it.
#
# To **apply** a manifest is to hand it to the control plane. Our call returns when the Envoys concerned really hold the new orders.

# %% tags=["nbval-ignore-output"]
print(mesh.apply(manifest("01_installation/namespace.yaml"), manifest("01_installation/gateway.yaml")))
after = json.dumps(mesh.config("gateway"))
print(f"{len(after)} characters of configuration; listener 0.0.0.0_8080 in it: {'0.0.0.0_8080' in after}")

# %% tags=["check", "nbval-check-output", "covers-K1"]
kept = mesh.resource("Gateway", "hello-world-gateway")  # your wish, as the control plane keeps it
assert kept.spec["servers"][0]["hosts"] == ["test.example.com"]
check.that("0.0.0.0_8080" in after, "the control plane turned the manifest into a listener of the gateway")

# %% [markdown]
# We asked for port 80 and the Envoy listens on 8080. That is on purpose: programs without special rights may not open
# ports below 1024, so what arrives at the gateway's port 80 is sent on to port 8080 of its pod.
#
# ## Does the data plane answer?
#
# **curl** is a program that sends a request and prints the answer. `mesh.curl` does the same here.
#
# **Predict:** the door is open, but there is no application behind it. What does a caller get: no answer, or an error? From whom?

# %% tags=["nbval-ignore-output"]
result = mesh.curl("http://test.example.com/")
result

# %% [markdown]
# The answer has the **status** 404: "not found". In HTTP, the language of the web, each answer has such a number; 200 is "fine".
# Nobody but Envoy can have sent it, as nothing else runs. It signs its answers in a header, a line of notes that goes with
# the answer, and it says why in its log: `NR` is short for "no route".

# %% tags=["check", "nbval-check-output", "covers-K1"]
assert result[0].headers["server"] == "istio-envoy"
assert result.flags == {"NR": 1}, result.flags
check.status_counts(result, {404: 1}, about="Envoy itself answered")

# %% [markdown]
# ## The control plane says no
#
# A second task of the control plane is to refuse what it can't understand, before any proxy hears of it.
# The next manifest has one letter wrong. **Predict:** what will the message tell you?

# %% tags=["nbval-ignore-output"]
print(show("01_installation/misspelt.yaml"))
try:
    mesh.apply(manifest("01_installation/misspelt.yaml"))
except labkit.LabkitError as refusal:
    print(refusal)

# %% tags=["check", "nbval-check-output", "covers-K1"]
check.refused(lambda: mesh.apply(manifest("01_installation/misspelt.yaml")), "selektor", "did you mean")

# %% [markdown]
# So `istiod` is three things in one program. They were separate programs once, and old texts still use their names:
#
# | task | once called | seen above |
# |---|---|---|
# | turn wishes into orders for the proxies | Pilot | the new listener |
# | check the wishes | Galley | the refusal |
# | give each proxy a certificate, by which proxies know each other | Citadel | not on this mesh: it needs a cluster |

# %% [markdown]
# ## Exercise
#
# How many listeners does the gateway have now? Envoy counts much about itself. Ask for the number
# `total_listeners_active` with `mesh.stats("gateway", "total_listeners_active")` and put its value into `answer`.
# Stuck? Run `task("01-1").hint()` in a new cell, as often as you like.

# %% tags=["exercise", "nbval-ignore-output"]
answer = None

# %% tags=["solution", "nbval-ignore-output"]
answer = int(mesh.stats('gateway', 'total_listeners_active')['value'].iloc[0])

# %% tags=["exercise", "check", "nbval-check-output"]
task("01-1").check(answer, mesh)

# %% [markdown] tags=["covers-C3"]
# ## On a real cluster
#
# **Minikube** is a program that runs a small Kubernetes cluster on one machine. Older texts install Istio there with two
# add-ons: `minikube addons enable istio-provisioner`, then `minikube addons enable istio`. The first one relies on an
# operator, a program inside the cluster that installs Istio. Istio gave it up after version 1.23, so the add-ons bring no newer Istio,
# and this course is made for 1.24 and newer.
#
# What works today:
#
# - `istioctl install --set profile=default`: Istio's own tool, and the way its makers prefer;
# - **Helm**, an installer for Kubernetes: first the chart `base`, then `istiod`, then `gateway`.
#   A **chart** is Helm's word for a package. The last one lets the gateway listen on port 80 of its pod. `labkit up` sets 8080, as istioctl does.
#
# In a terminal, `labkit up --minikube` does it all: it starts Minikube, takes the first of these ways that your programs allow, and shows
# each command before it runs it. `labkit up` alone installs Istio on the cluster that you have. `labkit doctor` says what is missing,
# and `labkit down` gives everything back.
#
# After either you find `istiod` and `istio-ingressgateway` in `istio-system`, and Kubernetes knows Istio's kinds of objects:
# `kubectl get crd` lists their definitions (**CRDs**, custom resource definitions). A cluster's gateway has a few listeners
# besides those that you ask for: at one Kubernetes asks whether it is well, at another its counters are read.
#
# `minikube tunnel` then gives the gateway an address of its own; it asks for your password. `kubectl port-forward`, which leads a port
# of your machine into the cluster, needs none. So it is what this course uses.
#
# The next cell shows all three ways, with what you would type, the best one first. `install_method` picks one for the programs that
# you have. **Predict:** somebody has Minikube and nothing else. Which Istio can they install?

# %% tags=["nbval-ignore-output"]
from labkit.lessons import INSTALL_METHODS, install_method

print(*INSTALL_METHODS, sep="\n\n")

# %% tags=["check", "nbval-check-output", "covers-C1", "covers-K13"]
check.equal(install_method(["minikube", "helm", "istioctl"]).name, "istioctl", "istioctl comes first")
check.equal(install_method(["minikube", "helm"]).name, "helm", "then Helm")
check.equal(install_method(["minikube"], version=(1, 23)).name, "minikube add-ons", "the add-ons, for the last Istio they bring")
check.refused(lambda: install_method(["minikube"], version=(1, 24)), "istioctl", "Helm", about="the add-ons, for a newer Istio")

# %% [markdown]
# ## Recap
#
# - A service mesh is a proxy beside each service, and one place that gives the proxies their orders.
# - The control plane (`istiod`) reads, checks and hands out orders. The data plane (Envoy) carries the requests.
# - A manifest that was applied is a fact in a running Envoy. You can look it up in the configuration dump.
# - An Envoy can answer by itself: 404 with `NR` means that it knows no route.
#
# ## Clean up
#
# The mesh ends with this call. It would end by itself when you close the notebook. The table below is the map of the
# course: what you have done, and what is next.

# %% tags=["nbval-ignore-output"]
mesh.close()
finish_lesson("01")
course_map()
