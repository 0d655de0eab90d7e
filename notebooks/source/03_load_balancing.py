# %% [markdown]
# # 3 · Load balancing: which pod gets the request?
#
# Three pods can answer each request, and something has to choose one of them. You learn three ways to choose, see them in real requests, and
# find out which one copes with a slow pod. It takes about twenty-five minutes.
#
# ## Objectives
#
# After this lesson you can
#
# - choose a load-balancing policy with a **DestinationRule**;
# - tell `RANDOM`, `ROUND_ROBIN` and `LEAST_REQUEST` from each other by what they do;
# - say why equal shares are not always best;
# - judge from the numbers whether a difference is real or just chance.

# %% tags=["parameters", "nbval-ignore-output"]
backend = "embedded"  # which mesh: "embedded" runs on this machine and needs nothing else
scale = "small"  # how many requests the lessons send
seed = 1  # for what a lesson draws at random

# %% tags=["nbval-ignore-output"]
import json

import labkit
from labkit.lessons import check, finish_lesson, manifest, predict, reveal, show, start_lesson, task
from labkit.ui import PolicyPanel, plots

start_lesson("03")
mesh = labkit.open_mesh(backend)
url = "http://test.example.com/"
mesh.apply(manifest("hello-world.yaml"), manifest("02_first_microservice"))  # the service of lesson 2, with its way in
mesh.get("pods")

# %% [markdown]
# ## Who chooses?
#
# **Load balancing** means spreading requests over pods. In a mesh the *caller's* Envoy does it: here the ingress gateway, since our requests
# come from outside. It knows every pod of the Service and sends each request to one of them.
#
# How it chooses is set in a **DestinationRule**. The VirtualService comes first: it says *which Service* gets the request. Then the
# DestinationRule of that Service says *how* the request is sent there.
#
# ## RANDOM
#
# In the rule below, `host` names the Service, and everything under `trafficPolicy` is about how requests get there.
#
# **Predict:** six requests, three pods, each request sent to a random one. Will each pod answer exactly two? Click your guess, or write it in
# place of the dots.

# %% tags=["nbval-ignore-output"]
print(show("03_load_balancing/random.yaml"))
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
# We sent 60 requests, so there are ten groups of six to look at. The plot shows no pattern: often the same pod answers twice or three times
# in a row. That is what chance looks like. The check counts how often a pod answers twice in a row. With three pods that should be about one
# time in three.

# %% tags=["check", "nbval-check-output", "covers-Y1"]
check.random_order(drawn, among=3)

# %% [markdown]
# In the long run chance is fair. How many requests make a long run? The check knows how many it needs to be almost never wrong: it may fail a
# fair balancer once in a million runs, and it must catch a pod that gets ten percentage points too many or too few in 99 of 100 runs. Open
# the *why* below the verdict to see the details.
#
# Sending that many requests is a job for a **load generator**: a program that sends requests over several connections at once. A well-known
# one is **Fortio**. `mesh.fortio` uses it where it is installed, and otherwise does the same itself.

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
# The name comes from an old custom: names signed in a circle, so that nobody comes first. **Predict:** what will the plot look like?

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
# So far all pods were equally fast, and both policies are fine. Real pods differ: one shares its machine with a busy neighbour, another has
# just started. We make one pod slow: it now takes 60 ms for each answer, where the others need about 1 ms.
#
# Eight callers send requests as fast as they are answered. **Latency** is the time from a request to its answer. In the plot the solid line
# is a pod's **p50** (half of its requests were faster), and the dashed one its **p99** (99 in 100 were faster). **Predict:** how does
# `RANDOM` treat the slow pod?

# %% tags=["nbval-ignore-output"]
slow = mesh.pods("hello-world-v1")[0].name
mesh.control(slow, delay_ms=60)
n = check.needed("avoids_slow_pod", 3) if scale == "small" else 6000
mesh.apply(manifest("03_load_balancing/random.yaml"))
random = mesh.fortio(url, connections=8, requests=n)
plots.latency(random, by="pod")

# %% [markdown]
# `RANDOM` can't tell that a pod is slow. A third of all requests go there, and each of them waits.
#
# ## LEAST_REQUEST
#
# This one looks before it sends. It picks *two* pods at random, and takes the one with fewer active requests. A slow pod has more of them,
# since each one takes longer. This is Istio's default: it is what you get without any rule.
#
# So how can you tell a rule that is in effect from no rule at all? Look at the gateway: in its configuration each destination carries the
# name of the DestinationRule that it was made from. The first line of the next check looks there.

# %% tags=["nbval-ignore-output"]
print(show("03_load_balancing/least-request.yaml"))
mesh.apply(manifest("03_load_balancing/least-request.yaml"))
least = mesh.fortio(url, connections=8, requests=n)
plots.compare(RANDOM=random, LEAST_REQUEST=least, by="pod")

# %% tags=["check", "nbval-check-output", "covers-Y2", "covers-K4"]
assert "destination-rule/hello-world-dr" in json.dumps(mesh.config("gateway")), "the rule is not in effect"
check.avoids_slow_pod(least, slow=slow, pods=3, about="LEAST_REQUEST")

# %% [markdown]
# What about the callers? How many requests took more than 30 ms under each rule?

# %% tags=["nbval-ignore-output"]
waited = {"RANDOM": random.frame["latency_ms"] > 30, "LEAST_REQUEST": least.frame["latency_ms"] > 30}
print("\n".join(f"{name}: {100 * column.mean():.0f} % took over 30 ms" for name, column in waited.items()))
plots.latency(least, by="pod")

# %% tags=["check", "nbval-check-output", "covers-K4"]
check.fewer_slow(least, random, slower_than_ms=30, about="LEAST_REQUEST against RANDOM")

# %% [markdown]
# ## Exercises
#
# **1.** The rule in effect is `LEAST_REQUEST`. Make the pods take turns again. **Try it yourself** in this panel: choose another policy, see
# which lines of the YAML change, press *Apply*, and open *What Envoy got*. Without a browser: `panel.set("loadBalancer.simple", "…")` with a
# value in place of the dots, then `panel.changes`, `panel.apply()` and `panel.got`. Stuck? Run `task("03-1").hint()` in a new cell.
#
# **2.** `v1` has two pods, and `v2` one. Give both versions exactly half of the requests, with pods that take turns.

# %% tags=["nbval-ignore-output"]
panel = PolicyPanel(mesh, manifest("03_load_balancing/least-request.yaml"))
panel

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(manifest('03_load_balancing/round-robin.yaml'))

# %% tags=["exercise", "check", "nbval-check-output"]
mesh.control(slow, reset=True)
task("03-1").check(mesh)

# %% tags=["solution", "nbval-ignore-output"]
mesh.scale('hello-world-v1', 1)

# %% tags=["exercise", "check", "nbval-check-output"]
task("03-2").check(mesh)

# %% [markdown]
# **3.** An open problem: the next cell makes the mesh that it is about. Look around, and mend it as you like: what counts is what users see.

# %% tags=["nbval-ignore-output"]
task("03-3").prepare(mesh)

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(manifest('03_load_balancing/least-request.yaml'))

# %% tags=["exercise", "check", "nbval-check-output"]
task("03-3").check(mesh)

# %% [markdown]
# ## Recap
#
# - The caller's Envoy chooses the pod; a DestinationRule says how.
# - `RANDOM` picks at random; `ROUND_ROBIN` takes turns; `LEAST_REQUEST` picks two at random and takes the less busy one.
# - With equal pods `RANDOM` and `ROUND_ROBIN` both give each pod its share. With a slow pod, `LEAST_REQUEST` makes far fewer requests wait.
# - Short runs tell you little. A check says how many requests it needs, and how often it may be wrong.
#
# ## Clean up
#
# This stops the mesh and all its processes, and marks the lesson as done.

# %% tags=["nbval-ignore-output"]
mesh.close()
finish_lesson("03")
