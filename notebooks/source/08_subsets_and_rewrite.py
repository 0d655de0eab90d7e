# %% [markdown]
# # 8 · Subsets and rewriting: two versions, two paths
#
# Two versions of the service run side by side. You give each its own path, see how easily a path matches too much, and find out which policy
# applies to which requests. It takes about twenty-five minutes.
#
# ## Objectives
#
# After this lesson you can
#
# - name a group of a Service's pods: a **subset**;
# - route requests to a subset by their path, and rewrite the path on the way;
# - say what a prefix match catches that you did not intend, and write a better one;
# - say when a subset's policy is in effect, and what it overrides.

# %% tags=["parameters", "nbval-ignore-output"]
backend = "embedded"  # which mesh: "embedded" runs on this machine and needs nothing else
scale = "small"  # how many requests the lessons send
seed = 1  # for what a lesson draws at random

# %% tags=["nbval-ignore-output"]
import labkit
from labkit.lessons import check, finish_lesson, manifest, predict, reveal, show, start_lesson, task
from labkit.ui import PolicyPanel, plots

start_lesson("08")
mesh = labkit.open_mesh(backend)
url, lesson = "http://test.example.com", "08_subsets_and_rewrite"
way_in = [manifest(f"04_gateway_and_virtual_service/{name}.yaml") for name in ("gateway", "virtual-service")]
mesh.apply(manifest("hello-world.yaml"), *way_in)

# %% [markdown]
# ## Parts of a Service
#
# The Service `hello-world` covers every pod with the label `app: hello-world`: two of version v1, one of version v2. The pods have a second
# label, `version`. A **subset** is a name for the pods with a certain label. Subsets are defined in the Service's DestinationRule.
#
# **Predict:** the rule is applied, and nothing else changes. Who answers a request for `/`: v1, or both versions?

# %% tags=["nbval-ignore-output"]
mesh.apply(manifest(f"{lesson}/subsets.yaml"))
print(show(f"{lesson}/subsets.yaml"))
subsets_alone = mesh.curl(url, n=60)
pods = mesh.endpoints()[["subset", "pod", "version"]]
print(pods.sort_values(["subset", "pod"]).to_string(index=False))
plots.share(subsets_alone, by="version")

# %% tags=["check", "nbval-check-output", "covers-Y9", "covers-K3"]
members = {name: sorted(pods[pods["subset"] == name]["version"]) for name in ("v1", "v2")}
check.equal(members, {"v1": ["v1", "v1"], "v2": ["v2"]}, "each subset has the pods with its label")
check.every_pod_answers(subsets_alone, mesh.pods("hello-world"), about="subsets that no route uses")

# %% [markdown]
# The gateway now knows three groups: the whole Service (no subset), v1, and v2. But the signpost, the VirtualService, still says *to
# hello-world*, so every pod answers. The rule comes after the signpost: it says *how* to send, never *where*.
#
# ## A path for each version
#
# This signpost has two routes. They are tried from top to bottom, and the first that matches takes the request. `match` is a condition: here
# on the path; it can also be on a header, as in `headers: {x-tester: {exact: "yes"}}`. A route without one takes everything else. `rewrite`
# changes the path before the pod sees it.
#
# **Predict:** somebody calls `/v2`. Which version answers, and which path does it see?

# %% tags=["nbval-ignore-output"]
print(show(f"{lesson}/prefix.yaml"))
mesh.apply(manifest(f"{lesson}/prefix.yaml"))
root, new = mesh.curl(f"{url}/", n=21), mesh.curl(f"{url}/v2", n=21)
print(root[0].text + new[0].text)
plots.compare(**{"path /": root, "path /v2": new}, by="version")

# %% tags=["check", "nbval-check-output", "covers-Y10"]
check.only(root, version="v1", about="/")
check.only(new, version="v2", about="/v2")
check.rewritten(new, path="/", about="asked for /v2")

# %% [markdown]
# ## In a browser
#
# A browser that opens the two paths shows two pages. It sends `Accept: text/html`, and our application then answers with a page, in a
# different colour for each version. The next cell asks the way a browser does.

# %% tags=["nbval-ignore-output"]
from html import escape

from IPython.display import HTML

pages = {path: mesh.curl(url + path, headers={"Accept": "text/html"})[0] for path in ("/", "/v2")}
frame = '<iframe title="the page at {}" srcdoc="{}" width="48%" height="240"></iframe>'
HTML("<div>" + " ".join(frame.format(path, escape(page.text)) for path, page in pages.items()) + "</div>")

# %% tags=["check", "nbval-check-output", "covers-C10"]
titles = {path: page.text.partition("<title>")[2].partition(":")[0] for path, page in pages.items()}
check.equal(titles, {"/": "v1", "/v2": "v2"}, "a browser gets one page on /, another on /v2")

# %% [markdown]
# ## What else begins with /v2?
#
# A prefix is compared character by character. It knows nothing about slashes. **Predict:** which version gets `/v2x`? And what becomes of
# `/v2/a`, when `/v2` is replaced by `/`?

# %% tags=["nbval-ignore-output"]
predict("08-a", ..., options=["v1 gets /v2x", "v2 gets /v2x as /v2x", "v2 gets /v2x as /x"])

# %% tags=["nbval-ignore-output"]
def answers():
    """For each path: the version that answers, and the path that it sees."""
    texts = {path: mesh.curl(url + path).text.strip() for path in ("/v2", "/v2/a", "/v2x")}
    return {path: (text.split()[3].strip(","), text.split("path ")[-1]) for path, text in texts.items()}

by_prefix = answers()
print("\n".join(f"{path:6} -> {version} sees {seen}" for path, (version, seen) in by_prefix.items()))
reveal("08-a", "v2 gets /v2x as /x", "Only the characters that matched are replaced, so /v2/a becomes //a")

# %% tags=["check", "nbval-check-output", "covers-Y10"]
swallowed = {"/v2": ("v2", "/"), "/v2/a": ("v2", "//a"), "/v2x": ("v2", "/x")}
check.equal(by_prefix, swallowed, "the prefix takes /v2x as well, and turns /v2/a into //a")

# %% [markdown]
# A link to `/v2x` ends up at the wrong version, and many programs do not understand `//a`. It is better to give the route two conditions.
# Either the path is *exactly* `/v2`, or it begins with `/v2/`, including the slash. A list under `match` means *or*.

# %% tags=["nbval-ignore-output"]
print(show(f"{lesson}/exact-and-prefix.yaml"))
mesh.apply(manifest(f"{lesson}/exact-and-prefix.yaml"))
by_both = answers()
print("\n".join(f"{path:6} -> {version} sees {seen}" for path, (version, seen) in by_both.items()))

# %% tags=["check", "nbval-check-output", "covers-Y10"]
meant = {"/v2": ("v2", "/"), "/v2/a": ("v2", "/a"), "/v2x": ("v1", "/v2x")}
check.equal(by_both, meant, "exact and prefix together match what was meant, and nothing else")

# %% [markdown]
# ## A policy for a subset
#
# A subset may have its own `trafficPolicy`. You know the parts from earlier lessons: `loadBalancer`, how a pod is chosen, and
# `connectionPool`, the limits. `maxRequestsPerConnection: 1` means a new connection for each request.
#
# First with the earlier signpost, which names the Service and no subset. **Predict:** whose policy is in effect?

# %% tags=["nbval-ignore-output"]
predict("08-b", ..., options=["the Service's", "that of each pod's subset"])

# %% tags=["nbval-ignore-output"]
print(show(f"{lesson}/policies.yaml"))
mesh.apply(manifest(f"{lesson}/policies.yaml"), *way_in)

def run(subset, path, n=60):
    # sends requests, and counts the connections that the gateway opens for them
    group = f"outbound|80|{subset}|hello-world.hello-world.svc.cluster.local"
    before = mesh.counter("upstream_cx_total", cluster=group)
    result = mesh.curl(url + path, n=n)
    return result, mesh.counter("upstream_cx_total", cluster=group) - before

service, opened = run("", "/")
print(f"{len(service)} requests, {opened} new connections")
reveal("08-b", "the Service's", "A subset counts only where a route names it")

# %% tags=["check", "nbval-check-output", "covers-K3"]
check.equal(opened, len(service), "a new connection for each request: the Service's pool")
check.random_order(service, among=3, about="no route uses a subset, so their policies are not in effect")

# %% [markdown]
# Now the signpost that names the subsets. Subset v1 has its own `loadBalancer`, and nothing about connections.
#
# **Predict:** do its two pods take turns? And is there still a new connection for each request?

# %% tags=["nbval-ignore-output"]
mesh.apply(manifest(f"{lesson}/exact-and-prefix.yaml"))
first, opened = run("v1", "/")
print(f"{len(first)} requests, {opened} new connections")
plots.over_time(first, by="pod")

# %% tags=["check", "nbval-check-output", "covers-K3", "covers-K11"]
order = list(first.column("pod"))
assert all(one != other for one, other in zip(order[:-1], order[1:], strict=True)), "the pods of v1 take turns"
check.equal(opened, len(first), "v1 has its own load balancer, and the Service's connection pool")

# %% [markdown]
# The subset overrides what it sets, and inherits what it doesn't.
#
# Subset v2 has its own `connectionPool`: one connection at a time, and nothing about requests per connection. **Predict:** does it inherit
# the Service's `maxRequestsPerConnection: 1`? We count connections again. Then we hold five requests at once at the pod, as in lesson 7.

# %% tags=["nbval-ignore-output"]
second, opened = run("v2", "/v2")
v2 = "outbound|80|v2|hello-world.hello-world.svc.cluster.local"
with mesh.gate("hello-world-v2") as gate:
    burst = gate.send(f"{url}/v2", n=5)
    held = gate.wait_settled(burst, cluster=v2)
    gate.open()
    burst.wait()
print(f"{len(second)} requests, {opened} new connections; of five at once, {held} got through at a time")

# %% tags=["check", "nbval-check-output", "covers-K11"]
assert held == 1, "the subset's own limit: one connection"
check.that(opened < len(second) / 2, "v2 has a whole pool of its own: connections are kept open again", seen=opened)

# %% [markdown]
# It does not. A subset that sets anything under `connectionPool` overrides the Service's `connectionPool` *as a whole*. The same goes for
# `loadBalancer` and `outlierDetection`. Nothing inside them is merged. So repeat in a subset what you want to keep.
#
# To Envoy each subset is a separate cluster. So limits and ejections are counted per subset: `maxEjectionPercent` is a share of *its* pods.
#
# **Try it yourself:** choose *subset v2* in the panel, and read what it says about each part. Then fix its connection pool: it should have
# the Service's `maxRequestsPerConnection: 1` too. After *Apply*, open *What Envoy got*, and compare the clusters of v1 and v2.

# %% tags=["nbval-ignore-output"]
PolicyPanel(mesh, manifest(f"{lesson}/policies.yaml"))

# %% [markdown]
# ## Exercises
#
# **1.** Version v2 is to be tested under another name. Route `/beta` to v2, which sees it as `/`, and everything below it as well: `/beta/a` is seen
# as `/a`. Everything else goes to v1, unchanged. Stuck? Run `task("08-1").hint()` in a new cell.
#
# **2.** `/beta` stays as it is now. But v2 is weak: it takes one request at a time, lets one more wait, and refuses all others (lesson 7). v1
# has no such limit.
#
# **3.** An open problem: `task("08-3").prepare(mesh)` below makes the mesh that it is about. Look around, and mend it as you like.

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(manifest('08_subsets_and_rewrite/beta.yaml'))

# %% tags=["exercise", "check", "nbval-check-output"]
task("08-1").check(mesh)

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(manifest('08_subsets_and_rewrite/weak-beta.yaml'))

# %% tags=["exercise", "check", "nbval-check-output"]
task("08-2").check(mesh)

# %% tags=["nbval-ignore-output"]
task("08-3").prepare(mesh)

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(manifest('08_subsets_and_rewrite/keeps-users.yaml'))

# %% tags=["exercise", "check", "nbval-check-output"]
task("08-3").check(mesh)

# %% [markdown]
# ## Recap
#
# - A subset is a name for the pods with a certain label. By itself it changes nothing: a route has to use it.
# - Routes are tried from top to bottom. The first that matches takes the request.
# - The prefix `/v2` also matches `/v2x`, and a rewrite replaces only what matched. Match `/v2` exactly, and `/v2/` as a prefix.
# - The DestinationRule applies after routing. A subset's policy is in effect for requests that were routed to the subset.
# - What a subset's policy sets, it overrides as a whole. What it doesn't set comes from the Service's policy.
#
# ## Clean up
#
# This stops the mesh and all its processes, and marks the lesson as done.

# %% tags=["nbval-ignore-output"]
mesh.close()
finish_lesson("08")
