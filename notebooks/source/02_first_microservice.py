# %% [markdown]
# # 2 · A first microservice and its sidecar
#
# You bring a small service into the mesh, look at the proxy that is added next to it, open a way in from outside, and send the first
# requests. It takes about twenty minutes.

# %% [markdown]
# ## Objectives
#
# After this lesson you can
#
# - make Istio add a **sidecar** to each pod of a namespace;
# - read `2/2` in a list of pods, and find the sidecar in a pod's description;
# - open a way in with a **Gateway** and a **VirtualService**;
# - say what happens to pods that existed before the namespace was labelled.

# %% tags=["parameters", "nbval-ignore-output"]
backend = "embedded"  # which mesh: "embedded" runs on this machine and needs nothing else
scale = "small"  # how many requests the lessons send
seed = 1  # for what a lesson draws at random

# %% tags=["nbval-ignore-output"]
import labkit
from labkit.lessons import check, finish_lesson, manifest, predict, reveal, show, start_lesson, task
from labkit.ui import plots

start_lesson("02")
mesh = labkit.open_mesh(backend)
url = "http://test.example.com/"

# %% [markdown]
# ## Label the namespace
#
# A **sidecar** is the Envoy that Istio adds to a pod as a second container. It intercepts all requests to and from the application, which is
# unaware of it. Adding it is called **injection**.
#
# Istio does this in every namespace with the label `istio-injection=enabled`. On a cluster:
#
#     kubectl create namespace hello-world
#     kubectl label namespace hello-world istio-injection=enabled

# %% tags=["nbval-ignore-output"]
mesh.apply(manifest("02_first_microservice/unlabelled/namespace.yaml"))
mesh.label("namespace", "hello-world", {"istio-injection": "enabled"})
labelled = mesh.resource("Namespace", "hello-world").labels
mesh.get("namespaces")

# %% [markdown]
# ## Install the service
#
# The file `hello-world.yaml` contains the application, and three kinds of objects that you have not met yet:
#
# - a **Deployment** keeps a number of identical pods running: here two of version `v1` and, in another Deployment, one of version `v2`;
# - a **Service** is a name for a group of pods, those with a certain label: a caller asks for `hello-world`, and some pod of the group answers;
# - a **ConfigMap** holds files for the pods: here the application itself, one Python file.
#
# The file also defines the namespace with its label, so later lessons can skip this step.
#
# **Predict:** each pod runs one program of ours. What will the column `READY` say: `1/1` or `2/2`?

# %% tags=["nbval-ignore-output"]
predict("02-a", ..., options=["1/1", "2/2"])

# %% tags=["nbval-ignore-output"]
mesh.apply(manifest("hello-world.yaml"))
print(reveal("02-a", "2/2", "Istio added a second container: the sidecar"))
mesh.get("pods")

# %% tags=["check", "nbval-check-output", "covers-C4", "covers-C5"]
assert labelled.get("istio-injection") == "enabled", "label the namespace before you create the Deployment"
check.equal({pod.ready for pod in mesh.pods("hello-world")}, {"2/2"}, "each pod has two containers, both ready: 2/2")

# %% [markdown]
# ## Look into a pod
#
# One container is ours. What is the other? `kubectl describe pod` tells you more about a pod. Look for the names of its containers, under
# `Containers`, and on a cluster under `Init Containers` too. One of them is ours, `hello-world`.

# %% tags=["nbval-ignore-output"]
pod = mesh.pods("hello-world-v1")[0].name
print(mesh.describe("pod", pod))

# %% tags=["check", "nbval-check-output", "covers-C6"]
words = mesh.describe("pod", pod)
check.that("hello-world:" in words and "istio-proxy:" in words, "the pod has the application and istio-proxy, the sidecar")

# %% [markdown]
# The other one is `istio-proxy`, the sidecar. On a cluster there are **init containers** as well, which start before the others. One of them,
# `istio-init`, runs only briefly: it sets up the pod's network so that all traffic passes through the sidecar. With Kubernetes 1.33 and Istio
# 1.27 or newer the sidecar itself is listed there too: it starts first and keeps running (a **native sidecar**). With older versions it is
# under `Containers`. This mesh doesn't need `istio-init`: the sidecar's address is simply the only one that is published.
#
# ## A way in: Gateway and VirtualService
#
# Two objects are needed. You know the **Gateway** from lesson 1: it opens a port for a host name. The **VirtualService** is the signpost
# behind it: it says which requests go to which Service.

# %% tags=["nbval-ignore-output"]
print(show("02_first_microservice/gateway.yaml"))
show("02_first_microservice/virtual-service.yaml")

# %% [markdown]
# In words: requests for the host `test.example.com` that came in through the Gateway `hello-world-gateway` go to port 80 of the
# Service `hello-world`.
#
# **Predict:** with the Gateway alone, what status will a caller get? And with both?

# %% tags=["nbval-ignore-output"]
mesh.apply(manifest("02_first_microservice/gateway.yaml"))
alone = mesh.curl(url)
mesh.apply(manifest("02_first_microservice/virtual-service.yaml"))
both = mesh.curl(url)
print(f"Gateway alone: {alone.codes}\nwith the VirtualService: {both.codes}\n{both.text}")

# %% tags=["check", "nbval-check-output", "covers-Y4", "covers-Y11"]
check.status_counts(alone, {404: 1}, about="Gateway alone")
check.status_counts(both, {200: 1}, about="Gateway and VirtualService")

# %% [markdown]
# ## The host name, without a change to your machine
#
# Only our Gateway knows `test.example.com`. So how does a request get there? Some ways:
#
# - add the name and the gateway's address to the file `/etc/hosts`, as many texts suggest: this needs administrator rights;
# - `curl --resolve test.example.com:PORT:ADDRESS http://test.example.com:PORT/` does the same for one call;
# - call the address, and name the host in the `Host` header. That is what `mesh.curl` does.
#
# Here is the last one by hand, with Python's standard library:

# %% tags=["nbval-ignore-output"]
from urllib.request import Request, urlopen

with urlopen(Request(mesh.gateway_url + "/by-hand", headers={"Host": "test.example.com"}), timeout=10) as answer:
    by_hand = (answer.status, answer.read().decode())
print("address:", mesh.gateway_url, "\nanswer:", *by_hand)

# %% tags=["check", "nbval-check-output", "covers-C7"]
check.that(by_hand[0] == 200 and "path /by-hand" in by_hand[1], "a Host header is enough to get in", seen=by_hand)

# %% [markdown]
# ## Ten requests in a loop
#
# **Predict:** there are three pods behind the Service. If you call it ten times, which of them will answer?

# %% tags=["nbval-ignore-output"]
ten = mesh.curl(url, n=10)
print(ten.text)
plots.over_time(ten, by="pod")

# %% tags=["check", "nbval-check-output", "covers-C8"]
check.all_ok(ten, about="ten requests in a loop")

# %% [markdown]
# Each request got one answer, and the pods share the work. How they share it is the subject of lesson 3. With more requests every pod gets its share:

# %% tags=["nbval-ignore-output"]
n = 60 if scale == "small" else 300
many = mesh.curl(url, n=n)
plots.share(many, by="pod")

# %% tags=["check", "nbval-check-output"]
check.every_pod_answers(many, mesh.pods("hello-world"))

# %% [markdown]
# ## Pods that existed before the label
#
# Injection happens when a pod is **created**. Restarting a Deployment replaces its pods with *new* ones.
#
# **Predict:** the label is removed and `v2` restarted, so its new pod has no sidecar. Then the label is added again. Will this pod get a sidecar now?

# %% tags=["nbval-ignore-output"]
predict("02-b", ..., options=["yes, at once", "not before it is replaced"])

# %% tags=["nbval-ignore-output"]
mesh.label("namespace", "hello-world", {"istio-injection": None})
mesh.restart("hello-world-v2")
mesh.label("namespace", "hello-world", {"istio-injection": "enabled"})
late = {pod.ready for pod in mesh.pods("hello-world-v2")}
print(reveal("02-b", "not before it is replaced", "A sidecar is added when a pod is created"))
mesh.get("pods")

# %% tags=["check", "nbval-check-output", "covers-C4"]
n = check.needed("every_pod_answers", 3)
check.every_pod_answers(mesh.curl(url, n=n), mesh.pods("hello-world"), about="the pod without a sidecar too")
check.equal(late, {"1/1"}, "the label changes nothing for a pod that already runs: 1/1")

# %% [markdown]
# The pod still answers, and the gateway's rules still apply to requests to it. But its own outgoing requests pass through no Envoy, so no
# rule applies to them. This mistake is easy to make and hard to spot. So when a rule has no effect on what a pod sends, look for `1/1` first.

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# **1.** Give the `v2` pod its sidecar. It takes one call. Which one did we use above to replace the pods of a Deployment?
# Stuck? Run `task("02-1").hint()` in a new cell, as often as you like.

# %% tags=["solution", "nbval-ignore-output"]
mesh.restart('hello-world-v2')

# %% tags=["exercise", "check", "nbval-check-output"]
task("02-1").check(mesh)

# %% [markdown] tags=["exercise"]
# **2.** Callers inside the mesh are pods too. The file `client.yaml` has one: `print(show("client.yaml"))`. Run it in a namespace of its own,
# `office`, with a sidecar; from there it calls `http://hello-world.hello-world/`, which is the Service, then its namespace. You need a
# namespace, its label, and the client's text with one name changed: `show("client.yaml").replace("…", "…")`.

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(manifest("02_first_microservice/office/namespace.yaml"))
client = show("client.yaml").replace("namespace: hello-world", "namespace: office")
mesh.apply(client)

# %% tags=["exercise", "check", "nbval-check-output"]
task("02-2").check(mesh)

# %% [markdown] tags=["exercise"]
# **3.** An open problem: "Since our release every caller gets 503. All pods run, 2/2, and nobody has touched the Gateway or the VirtualService."
# The next cell makes the mesh that it is about. Look around, and mend it as you like: each pod shall answer again. `show(mesh.resource(KIND, NAME))`
# shows an object of the mesh as YAML, a Service, say; `mesh.describe` shows the labels of a pod.

# %% tags=["nbval-ignore-output"]
task("02-3").prepare(mesh)

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(manifest('hello-world.yaml'))

# %% tags=["exercise", "check", "nbval-check-output"]
task("02-3").check(mesh)

# %% [markdown]
# ## Recap
#
# - The label `istio-injection=enabled` on a namespace gives each *new* pod a sidecar; `2/2` shows it.
# - Pods that are already running stay as they are until they are replaced.
# - A Gateway opens a port for a host name. A VirtualService says where the requests go. Without one you get a 404.
# - The header `Host` decides which VirtualService applies, so no entry in `/etc/hosts` is needed.
#
# ## Clean up
#
# This stops the mesh and all its processes, and marks the lesson as done.

# %% tags=["nbval-ignore-output"]
mesh.close()
finish_lesson("02")
