# %% [markdown]
# # 3 · Load balancing: which pod gets the request?
#
# Three pods can answer each request. Somebody has to choose one. You learn three ways to choose, see them in real requests,
# and find out which one copes with a slow pod. It takes about twenty minutes.

# %% [markdown]
# ## Objectives
#
# After this lesson you can
#
# - set the way of choosing with a **DestinationRule**;
# - tell `RANDOM`, `ROUND_ROBIN` and `LEAST_REQUEST` from each other by what they do;
# - say why an even share is not always a good one;
# - judge by numbers whether a difference is real or just chance.

# %% tags=["parameters", "nbval-ignore-output"]
backend = "embedded"  # which mesh: "embedded" runs on this machine and needs nothing else
scale = "small"  # how many requests the lessons send
seed = 1  # for whatever a lesson draws by chance itself

# %% tags=["nbval-ignore-output"]
import json

import labkit
from labkit.lessons import check, finish_lesson, manifest, predict, reveal, show, start_lesson, task
from labkit.ui import PolicyPanel, plots

mesh = labkit.open_mesh(backend)
start_lesson("03")
url = "http://test.example.com/"

# %% [markdown]
# The service of lesson 2, with its way in:

# %% tags=["nbval-ignore-output"]
mesh.apply(manifest("hello-world.yaml"), manifest("02_first_microservice"))
mesh.get("pods")

# %% [markdown]
# ## Who chooses?
#
# **Load balancing** means to share requests among pods. In a mesh the *caller's* Envoy does it: here the ingress gateway,
# since our requests come from outside. It knows every pod of the Service and sends each request to one of them.
#
# How it chooses is written in a **DestinationRule**. The VirtualService comes first: it says *which Service* gets the request.
# Then the DestinationRule of that Service says *how* it is sent there.
#
# ## RANDOM

# %% tags=["nbval-ignore-output"]
show("03_load_balancing/random.yaml")

# %% [markdown]
# `host` names the Service, and everything under `trafficPolicy` is about the way to it.
#
# **Predict:** six requests, three pods, each drawn by chance. Will each pod answer exactly two? Put your guess in place of the dots.

# %% tags=["nbval-ignore-output"]
predict("03-a", ..., options=["two each, always", "two each, sometimes", "never two each"])

# %% tags=["nbval-ignore-output"]
mesh.apply(manifest("03_load_balancing/random.yaml"))
drawn = mesh.curl(url, n=60)
order = list(drawn.frame["pod"])
sixes = [order[i : i + 6] for i in range(0, 60, 6)]
even = sum(all(six.count(pod) == 2 for pod in set(order)) for six in sixes)
print(f"the first six: {[sixes[0].count(pod) for pod in sorted(set(order))]}; of ten sixes {even} gave two to each pod")
plots.over_time(drawn, by="pod")

# %% tags=["nbval-ignore-output"]
reveal("03-a", "two each, sometimes", "Of all ways to draw six times, one in eight gives two to each")

# %% [markdown]
# We sent 60 requests, so there are ten sixes to look at. The picture has no pattern: often the same pod answers twice or three times
# running. That is what chance looks like.
# The check counts how often the next pod is the same as the last one. With three pods it should be about one time in three.

# %% tags=["check", "nbval-check-output", "covers-Y1"]
check.random_order(drawn, among=3)

# %% [markdown]
# In the long run chance is fair. How many requests make a long run? The check knows how many it needs so that it is almost
# never wrong: it may blame a fair balancer once in a million runs, and must find a pod that gets ten
# percentage points too much or too little in 99 of 100 runs. Open the *why* below the verdict to see this worked out.
#
# So many requests are the work of a **load generator**: a program that sends requests on several connections at once. A well-known
# one is **Fortio**. `mesh.fortio` uses it where it is installed, and else does the same itself.

# %% tags=["nbval-ignore-output"]
n = check.needed("spread_evenly", 3) if scale == "small" else 6000
fair = mesh.fortio(url, connections=4, requests=n)
thirds = {pod.name: 1 / 3 for pod in mesh.pods("hello-world")}
plots.share(fair, by="pod", expected=thirds)

# %% tags=["check", "nbval-check-output", "covers-Y1"]
check.spread_evenly(fair, among=mesh.pods("hello-world"), about="RANDOM")

# %% [markdown]
# ## ROUND_ROBIN
#
# The name comes from an old custom: names written in a circle, so that nobody is first. **Predict:** what will the picture look like?

# %% tags=["nbval-ignore-output"]
mesh.apply(manifest("03_load_balancing/round-robin.yaml"))
turns = mesh.curl(url, n=30)
plots.over_time(turns, by="pod")

# %% tags=["check", "nbval-check-output"]
order = list(turns.frame["pod"])
check.that(all(len(set(order[i : i + 3])) == 3 for i in range(28)), "the pods take turns", seen=order)

# %% [markdown]
# ## One pod is slow
#
# So far every pod was as good as the other, and both ways are fine. Real pods differ: one shares its machine with a busy neighbour,
# another has just started. We make one pod slow: it now takes 60 ms for each answer, where the others need about one.
#
# Eight callers send requests as fast as they are answered. **Latency** is the time from a request to its answer. In the picture half
# of a pod's requests are left of the line, and 99 of 100 left of the dashed one. **Predict:** what does `RANDOM` do with the slow pod?

# %% tags=["nbval-ignore-output"]
slow = mesh.pods("hello-world-v1")[0].name
mesh.control(slow, delay_ms=60)
n = check.needed("avoids_slow_pod", 3) if scale == "small" else 6000
mesh.apply(manifest("03_load_balancing/random.yaml"))
random = mesh.fortio(url, connections=8, requests=n)
plots.latency(random, by="pod")

# %% [markdown]
# `RANDOM` can't see that a pod is slow. A third of all requests go there, and each of them waits.
#
# ## LEAST_REQUEST
#
# This one looks before it sends. It draws *two* pods by chance, and takes the one with fewer requests under way. A slow pod has more of
# them, as each stays longer. This is Istio's default: it is what you get without any rule.
#
# How can you tell a rule that is in force from no rule at all, then? Look into the gateway: in its configuration each destination bears the
# name of the DestinationRule that it was made of. The first line of the next check looks there.

# %% tags=["nbval-ignore-output"]
show("03_load_balancing/least-request.yaml")

# %% tags=["nbval-ignore-output"]
mesh.apply(manifest("03_load_balancing/least-request.yaml"))
least = mesh.fortio(url, connections=8, requests=n)
plots.compare(RANDOM=random, LEAST_REQUEST=least, by="pod")

# %% tags=["check", "nbval-check-output", "covers-Y2", "covers-K4"]
assert "destination-rule/hello-world-dr" in json.dumps(mesh.config("gateway")), "the rule is not in force"
check.avoids_slow_pod(least, slow=slow, pods=3, about="LEAST_REQUEST")

# %% [markdown]
# And the callers? How many requests took more than 30 ms under each rule?

# %% tags=["nbval-ignore-output"]
waited = {"RANDOM": random.frame["latency_ms"] > 30, "LEAST_REQUEST": least.frame["latency_ms"] > 30}
print("\n".join(f"{name}: {100 * column.mean():.0f} % took over 30 ms" for name, column in waited.items()))
plots.latency(least, by="pod")

# %% tags=["check", "nbval-check-output", "covers-K4"]
check.fewer_slow(least, random, slower_than_ms=30, about="LEAST_REQUEST against RANDOM")

# %% [markdown]
# ## Exercise
#
# The rule in force is `LEAST_REQUEST`. Make the pods take turns again. **Try it yourself** in this panel: choose another way, see which lines of
# the YAML it changes, press *Apply*, and open *What Envoy got*. Without a browser: `panel.set("loadBalancer.simple", "…")` with a word in
# place of the dots, then `panel.changes`, `panel.apply()` and `panel.got`. Stuck? Run `task("03-1").hint()` in a new cell.

# %% tags=["nbval-ignore-output"]
panel = PolicyPanel(mesh, manifest("03_load_balancing/least-request.yaml"))
panel

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(manifest('03_load_balancing/round-robin.yaml'))

# %% tags=["exercise", "check", "nbval-check-output"]
mesh.control(slow, reset=True)
task("03-1").check(mesh)

# %% [markdown]
# ## Recap
#
# - The caller's Envoy chooses the pod; a DestinationRule says how.
# - `RANDOM` draws; `ROUND_ROBIN` takes turns; `LEAST_REQUEST` draws two and takes the less busy one.
# - With equal pods `RANDOM` and `ROUND_ROBIN` both give each pod its part. With a slow pod, `LEAST_REQUEST` makes far fewer requests wait.
# - Short runs tell little. A check says how many requests it needs, and how often it may be wrong.
#
# ## Clean up
#
# This ends the mesh with all its processes, and notes that you came to the end.

# %% tags=["nbval-ignore-output"]
mesh.close()
finish_lesson("03")
