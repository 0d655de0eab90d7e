# %% [markdown]
# # 4 · Gateway and VirtualService: the way in
#
# In lesson 2 you opened a way into the mesh, and it just worked. Now you take it apart: which address, which port, which host name. You also
# find out whether it is the only way in. It takes about twenty-five minutes.
#
# ## Objectives
#
# After this lesson you can
#
# - explain how the gateway gets an address that you can call: with `minikube tunnel`, or a port-forward;
# - tell the port of the gateway's Service from the port of its pod;
# - explain what the hosts of a Gateway do, and what those of a VirtualService do;
# - call a host name that no DNS server knows, in three ways;
# - show that a pod can be reached while bypassing the gateway.

# %% tags=["parameters", "nbval-ignore-output"]
backend = "embedded"  # which mesh: "embedded" runs on this machine and needs nothing else
scale = "small"  # how many requests the lessons send
seed = 1  # for what a lesson draws at random

# %% tags=["nbval-ignore-output"]
import json

import labkit
from labkit.lessons import check, finish_lesson, manifest, predict, reveal, show, start_lesson, task
from labkit.traffic import Target, curl
from labkit.traffic.programs.curl import real_curl
from labkit.ui import MeshView

start_lesson("04")
mesh = labkit.open_mesh(backend)
url = "http://test.example.com/"

# %% [markdown]
# ## A door with a mistake
#
# You know that a **Gateway** opens a door: a port, for some hosts. Here is one exactly as an article published it. It is for port 8080 and
# for `"*"`, which means any host. One of its lines is in the wrong place.
#
# **Predict:** will it be accepted, and then not work? Or will it be refused?

# %% tags=["nbval-ignore-output"]
predict("04-a", ..., options=["accepted, and it does not work", "refused"])

# %% tags=["nbval-ignore-output"]
mesh.apply(manifest("hello-world.yaml"))
print(show("04_gateway_and_virtual_service/hosts-misplaced.yaml"))
try:
    mesh.apply(manifest("04_gateway_and_virtual_service/hosts-misplaced.yaml"))
except labkit.LabkitError as refusal:
    print(refusal)
reveal("04-a", "refused", "Kubernetes knows the fields of a Gateway, and `hosts` is not one of its own")

# %% tags=["check", "nbval-check-output", "covers-Y3"]
check.refused(lambda: mesh.apply(manifest("04_gateway_and_virtual_service/hosts-misplaced.yaml")), "spec.hosts")

# %% [markdown]
# A Gateway has a list of `servers`, and each server has hosts of its own. So `hosts` belongs *inside* the server, at the same indentation as
# its `port`. Rejecting unknown fields is called **strict validation**. Without it the line would be dropped, and the message would be a
# different one: the server has no hosts. If the field were not required, there would be no error at all. Here is the corrected version:

# %% tags=["nbval-ignore-output"]
mesh.apply(manifest("04_gateway_and_virtual_service/gateway-any-host.yaml"))
show("04_gateway_and_virtual_service/gateway-any-host.yaml")

# %% [markdown]
# ## Where is the door? The address
#
# The gateway is a pod, and a pod's address is only valid inside the cluster. Callers outside need another address that leads there. So the
# gateway has a Service of type `LoadBalancer`. That is a request: *somebody please give me an address of my own.* A cloud provider does. On
# your own machine nobody does, and `kubectl get service` shows `<pending>`. There are two ways out:
#
# | | `minikube tunnel` | `kubectl port-forward` |
# |---|---|---|
# | gives | the Service an address of its own | a port of your machine that leads to the gateway |
# | you call | that address, port 80 | `127.0.0.1` and that port |
# | needs | an administrator's password, and a terminal left open | a terminal left open |
#
# This course uses the second, since it needs no password. `mesh.gateway_url` is the address. We call it with **curl**, a program that sends a
# request and prints the answer. **Predict:** the door has no signpost yet. Which status comes back?

# %% tags=["nbval-ignore-output"]
print("the gateway is at", mesh.gateway_url)
print(real_curl("--include", mesh.gateway_url + "/"))

# %% tags=["check", "nbval-check-output", "covers-C3"]
answer = curl(*Target.of(mesh.gateway_url + "/"))[0]
seen = answer.status, answer.headers.get("server")
check.equal(seen, (404, "istio-envoy"), "the address leads to the gateway's Envoy, which knows no route yet: 404")

# %% [markdown]
# ## Which door? The ports
#
# The manifest says port 8080. Now add the signpost, the **VirtualService** of lesson 2, and go in.
# **Predict:** on which port of the gateway's Service do callers find the door: 80, or 8080?

# %% tags=["nbval-ignore-output"]
mesh.apply(manifest("04_gateway_and_virtual_service/virtual-service.yaml"))
on_80 = mesh.curl("http://test.example.com:80/")
print("port 80:", on_80.codes)
try:
    mesh.curl("http://test.example.com:8080/")
except labkit.LabkitError as refusal:
    print("port 8080:", refusal)

# %% tags=["check", "nbval-check-output", "covers-Y3"]
check.refused(lambda: mesh.curl("http://test.example.com:8080/"), "no port 8080")
check.status_counts(on_80, {200: 1}, about="a Gateway for port 8080, called on port 80")

# %% [markdown]
# The Service has ports 80 and 443, and maps 80 to port 8080 of the pod. So 8080 is the *pod's* port, and no caller ever sees it. The usual
# way is to write the *Service's* port, 80, and let Istio work out where it leads. The next door is written that way, and for one host only.
# **Predict:** on which port will Envoy listen now?

# %% tags=["nbval-ignore-output"]
with_8080 = json.dumps(mesh.config("gateway"))
mesh.apply(manifest("04_gateway_and_virtual_service/gateway.yaml"))
with_80 = json.dumps(mesh.config("gateway"))
show("04_gateway_and_virtual_service/gateway.yaml")

# %% tags=["check", "nbval-check-output", "covers-Y3", "covers-Y11"]
listens = ['"0.0.0.0_8080"' in config and '"0.0.0.0_80"' not in config for config in (with_8080, with_80)]
check.equal(listens, [True, True], "written either way, the gateway's Envoy listens on its port 8080")

# %% [markdown]
# ## Which name? The hosts
#
# A request names the host it wants in its `Host` header. Both objects look at it. The Gateway asks: *may this name come in?* The
# VirtualService asks: *where does this name go?*
#
# **Predict:** there are two doors, one for a single host and one for any host, and likewise two signposts. Which of the four pairs lets
# `other.example.com` in?

# %% tags=["nbval-ignore-output"]
folder, statuses = "04_gateway_and_virtual_service", {}
print(show(f"{folder}/virtual-service.yaml"))
for door in ("gateway-any-host", "gateway"):
    for sign in ("virtual-service-any-host", "virtual-service"):
        mesh.apply(manifest(f"{folder}/{door}.yaml"), manifest(f"{folder}/{sign}.yaml"))
        called = [mesh.curl(f"http://{name}.example.com/")[0].status for name in ("test", "other")]
        statuses[door, sign] = called
        print(f"{door:>16} and {sign:<24}  test: {called[0]}  other: {called[1]}")

# %% tags=["check", "nbval-check-output", "covers-Y4", "covers-Y11"]
expected = [[200, 200], [200, 404], [200, 404], [200, 404]]
check.equal(list(statuses.values()), expected, "a name needs the door and the signpost: either of them can keep it out")

# %% [markdown]
# ## A name that no DNS server knows
#
# A browser asks a **DNS server** for the address of `test.example.com`, and no DNS server knows it. There are three ways around that:
#
# - `/etc/hosts` is a file on your machine that is consulted first. A line such as `127.0.0.1 test.example.com` in it is enough. But you must
#   be an administrator to edit it, and must not forget to remove the line again;
# - `curl --resolve NAME:PORT:ADDRESS` is such a line for a single call;
# - your own `Host` header: call the address, and say which name you want. `mesh.curl` does this.
#
# With a port-forward the port is not 80, so it follows the name, as in `test.example.com:12345`. The port is ignored when hosts are matched.
#
# Three calls look alike: `mesh.curl` calls a host name through the gateway; `real_curl` runs the curl program and returns what it prints;
# `curl(*Target.of(ADDRESS))` calls a bare address and keeps the answer for a check.
#
# After that come ten curls in a loop, as you would type them. **Predict:** how many answers do you get, and from how many pods?

# %% tags=["nbval-ignore-output"]
gateway = Target.of(mesh.gateway_url)[0]
name = f"test.example.com:{gateway.port}"
resolved = real_curl("--resolve", f"{name}:{gateway.host}", f"http://{name}/by-resolve")
by_header = real_curl("--header", "Host: test.example.com", f"{mesh.gateway_url}/by-header")
print(f"the line for /etc/hosts: {gateway.host} test.example.com\n\n{resolved}{by_header}")

# %% tags=["check", "nbval-check-output", "covers-C7"]
paths = [text.strip().split("path ")[-1] for text in (resolved, by_header)]
check.equal(paths, ["/by-resolve", "/by-header"], "curl --resolve and a Host header both lead in")

# %% tags=["nbval-ignore-output"]
ten = [real_curl("--header", "Host: test.example.com", f"{mesh.gateway_url}/") for _ in range(10)]
pods = {text.split("pod ")[-1].split(",")[0] for text in ten}
print("".join(ten) + f"{len(ten)} answers from {len(pods)} pods")

# %% tags=["check", "nbval-check-output", "covers-C8"]
check.that(all(text.startswith("Hello world!") for text in ten), "each of ten curls got its answer", seen=ten)

# %% [markdown]
# ## Is it the only way in?
#
# Some texts say that all traffic into the cluster must pass through the ingress gateway. **Predict:** must it?
#
# A pod has its own address, and `kubectl port-forward pod/NAME` forwards a port of your machine to it. `mesh.pod_url` gives you such an
# address. We knock at both doors, and ask the gateway for its **access log**: one line for each request.

# %% tags=["nbval-ignore-output"]
pod = mesh.pods("hello-world-v1")[0].name
past = curl(*Target.of(mesh.pod_url(pod) + "/back-door"))
through = mesh.curl(url + "front-door")
print(past.text + through.text)
log = mesh.access_log("gateway")
log[["path", "status", "pod"]].tail(3)

# %% tags=["check", "nbval-check-output", "covers-K2"]
logged = "/front-door" in set(log["path"]), "/back-door" in set(log["path"])
signed = through[0].headers.get("server"), past[0].headers.get("server")
assert past.pods == {pod: 1}
check.equal((logged, signed), ((True, False), ("istio-envoy", None)), "a pod answers without the gateway or any Envoy")

# %% [markdown]
# The pod answered, the gateway's log has no entry for it, and no Envoy put its name on the answer. So **no Istio rule was applied**. Another
# way in is a Service of type `NodePort`, a port on each machine of the cluster. Requests to it go through the pod's sidecar, but not through
# the gateway. So traffic *should* come in through the gateway. Making sure that it does is a task of its own: Kubernetes access rights and
# network policies, and Istio rules that make a sidecar answer known callers only.
#
# Below is the mesh as the gateway sees it: the width of a line is the share of requests sent to that pod. **Try it yourself:** run
# `mesh.curl(url, n=50)` in a new cell and watch. Then run `curl(*Target.of(mesh.pod_url(pod) + "/"), n=50)`, which bypasses the gateway: what
# do you see?

# %% tags=["nbval-ignore-output"]
view = MeshView(mesh)
mesh.curl(url, n=20)
view.look()
view

# %% [markdown]
# ## Exercises
#
# **1.** Your service gets a second name. Make `shop.example.com` lead to it as well as `test.example.com`. Other names still get a 404. `mesh.apply`
# also takes YAML as text: copy what `print(show(…))` prints, change it, and put it between `mesh.apply("""` and `""")`. Stuck? Run
# `task("04-1").hint()` in a new cell, as often as you like.
#
# **2.** Partners get names below `partner.example.org`, such as `a.partner.example.org`. All of these lead to the service, and so does
# `test.example.com`; `partner.example.org` itself and all others do not. A host may begin with `*.` in place of a part of the name.
#
# **3.** An open problem: `task("04-3").prepare(mesh)` below makes the mesh that it is about. Look around, and mend it as you like.

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(manifest('04_gateway_and_virtual_service/two-hosts.yaml'))

# %% tags=["exercise", "check", "nbval-check-output"]
task("04-1").check(mesh)

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(manifest('04_gateway_and_virtual_service/partners.yaml'))

# %% tags=["exercise", "check", "nbval-check-output"]
task("04-2").check(mesh)

# %% tags=["nbval-ignore-output"]
task("04-3").prepare(mesh)

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(manifest('04_gateway_and_virtual_service/www.yaml'))

# %% tags=["exercise", "check", "nbval-check-output"]
task("04-3").check(mesh)

# %% [markdown]
# ## Recap
#
# - A Service of type `LoadBalancer` waits for an address. `minikube tunnel` gives it one; a port-forward works without.
# - In a Gateway, write the port of the gateway's Service: 80. Its Envoy listens on a different one: 8080.
# - `hosts` of a Gateway: who may come in. `hosts` of a VirtualService: who goes where. A name needs both.
# - `/etc/hosts`, `curl --resolve` and a `Host` header lead to the same answer.
# - The gateway is the way in that Istio guards. It is not the only way in.
#
# ## Clean up
#
# This stops the mesh and all its processes, and marks the lesson as done.

# %% tags=["nbval-ignore-output"]
mesh.close()
finish_lesson("04")
