# %% [markdown]
# # 9 · Canary release: a new version, a little at a time
#
# A new version may be bad, however well it was tested. So you send it one request in a hundred first, watch, and go on or roll back. At the
# end a small program decides that for you, and says how often it may be wrong. It takes about twenty-five minutes.
#
# ## Objectives
#
# After this lesson you can
#
# - split the traffic between two versions by **weights**, and see why two routes are not a split;
# - release a new version step by step, and roll it back with one edit;
# - say how much damage a bad version does at each step;
# - let a program promote a version or roll it back, and state its error rates.

# %% tags=["parameters", "nbval-ignore-output"]
backend = "embedded"  # which mesh: "embedded" runs on this machine and needs nothing else
scale = "small"  # how many requests the lessons send
seed = 1  # for what a lesson draws at random

# %% tags=["nbval-ignore-output"]
import labkit
from labkit.lessons import canary, check, configured_weights, finish_lesson, manifest, predict, reveal, show, start_lesson, task
from labkit.ui import PolicyPanel, TrafficPanel, plots, rollout

start_lesson("09")
mesh = labkit.open_mesh(backend)
url = "http://test.example.com/"

# %% [markdown]
# The service again, with two pods of `v1`, one of `v2`, and the two **subsets** from the last lesson: names for the pods of each version.

# %% tags=["nbval-ignore-output"]
mesh.apply(manifest("hello-world.yaml"), manifest("02_first_microservice/gateway.yaml"))
mesh.apply(manifest("09_canary_rollout/subsets.yaml"))
mesh.get("pods")

# %% [markdown]
# ## 80 % to v1, 20 % to v2?
#
# This rule is from an article on Istio, which says that 80 % of the traffic goes to `v1`. **Predict:** what really happens?

# %% tags=["nbval-ignore-output"]
print(show("as-published/published-11-virtualservice.yaml"))
predict("09-a", ..., options=["80 % to v1, 20 % to v2", "20 % to v1, 80 % to v2", "all to v1", "all to v2"])

# %% tags=["nbval-ignore-output"]
applied = mesh.apply(manifest("as-published/published-11-virtualservice.yaml"))
print(applied)
published = mesh.curl(url, n=60)
plots.share(published, by="version", expected={"v1": 0.8, "v2": 0.2})

# %% tags=["nbval-ignore-output"]
reveal("09-a", "all to v2", "These are two routes. They are tried in order, and the first one takes every request")

# %% tags=["check", "nbval-check-output", "covers-Y12"]
check.that(any("used" in text for text in applied.warnings), "a warning says that the second route is never used", seen=applied)
check.equal([len(route) for route in configured_weights(mesh)], [1], "the gateway has one route, with one destination")
check.only(published, version="v2", about="as published")

# %% [markdown]
# It was accepted, with a warning that is easily missed. Two entries under `http` are two **routes**, and without a `match` the first one
# matches everything; the second is not even sent to Envoy. `weight: 80` means 80 out of 80. And the 80 is next to `v2`, where the author
# meant `v1`.
#
# A split is **one** route with **two** destinations:

# %% tags=["nbval-ignore-output"]
print(show("09_canary_rollout/split-80-20.yaml"))
mesh.apply(manifest("09_canary_rollout/split-80-20.yaml"))
shares = {"v1": 80, "v2": 20}
n = check.needed("split", shares) if scale == "small" else 5000
right = mesh.fortio(url, connections=4, requests=n)
plots.share(right, by="version", expected={"v1": 0.8, "v2": 0.2})

# %% tags=["check", "nbval-check-output", "covers-Y12"]
check.split(right, shares)

# %% [markdown]
# Each request is drawn independently, so the shares are never quite 80 and 20. The check knows how far off chance alone can be.
#
# ## A canary
#
# Miners used to take a canary along: if the air was bad, the bird suffered first. A **canary release** gives a new version a small
# **weight**, say 1 %, then 5, 25 and 100, and looks at its errors before each step. If there are too many, the weight goes back to 0: a
# **rollback**. If not, it ends at 100: the version is **promoted**.
#
# Our `v2` is bad: it fails every second request. **Predict:** what share of *all* requests fails at a weight of 1 %? At 25 %?

# %% tags=["nbval-ignore-output"]
mesh.control("hello-world-v2", fail_share=0.5, fail_status=500)
mesh.apply(manifest("09_canary_rollout/canary.yaml"))
first_step = configured_weights(mesh)
n = max(check.needed("error_rate", at_most=0.01), check.needed("error_rate_near", 0.125))
at_1 = mesh.fortio(url, connections=4, requests=n)
plots.codes(at_1)

# %% [markdown]
# For the next weights only two numbers in the manifest change. `canary.weighted` edits them in its text; on a cluster you would use `kubectl edit`.

# %% tags=["nbval-ignore-output"]
name = "09_canary_rollout/canary.yaml"
mesh.apply(canary.weighted(name, 5))
at_5 = mesh.fortio(url, connections=4, requests=n)
mesh.apply(canary.weighted(name, 25))
at_25 = mesh.fortio(url, connections=4, requests=n)
plots.compare(**{"1 %": at_1, "5 %": at_5, "25 %": at_25}, by="status")

# %% tags=["check", "nbval-check-output", "covers-K12"]
check.equal([list(route.values()) for route in first_step], [[99, 1]], "the gateway started with 99 to 1")
check.error_rate_near(at_25, 0.125, about="a quarter of the requests, half of which fail")
check.error_rate(at_1, at_most=0.01, about="weight 1 %, however bad the version is")

# %% [markdown]
# The weight limits the damage: at 1 % about one request in a hundred fails, even if the new version fails every time. Now back to 0, with the
# same edit:

# %% tags=["nbval-ignore-output"]
mesh.apply(canary.weighted(name, 0))
back = mesh.fortio(url, connections=4, requests=200)
plots.share(back, by="version")

# %% tags=["check", "nbval-check-output", "covers-K12"]
check.only(back, version="v1", about="rolled back")
check.all_ok(back, about="rolled back")

# %% [markdown]
# ## Let a program decide
#
# How many errors are too many? One error in ten answers may be bad luck. The more answers you wait for, the more certain you are, and the
# more users suffer. A **sequential test** looks after every few answers and keeps a score: an error counts a lot against the version, a
# success a little in its favour. When the score reaches one of two bounds, it decides; until then it continues. The bounds follow from what
# you want: which error rate is fine (`allowed`), which is too high (`harmful`), and how often the program may roll back a good version or let
# a harmful one pass a step.

# %% tags=["nbval-ignore-output"]
rule = canary.DecisionRule(allowed=0.01, harmful=0.2, wrong_rollback=0.001, wrong_promotion=0.01)
print(rule)
for rate in (0.01, 0.05, 0.1, 0.2, 0.5):
    print(f"a version that fails {rate:4.0%}: rolled back at the first step with probability {rule.chance_of_rollback(rate):.3%}")

# %% [markdown]
# **Predict:** at which weight will it stop our bad `v2`, and after how many errors?

# %% tags=["nbval-ignore-output"]
def set_weight(percent):
    """Sets the weight of v2."""
    mesh.apply(canary.weighted(name, percent))

def send(n):
    """Sends n requests, as users would."""
    return mesh.fortio(url, connections=4, requests=n)

bad = canary.roll_out(rule, set_weight, send, weights=(1, 5, 25, 100))
print(bad)
rollout.evidence(bad)

# %% tags=["check", "nbval-check-output", "covers-K12"]
check.that(not bad.promoted and len(bad.steps) == 1, "stopped at the first step", seen=bad)
check.that(bad.error_rate < 0.05, "hardly any user saw an error", seen=bad)
check.only(send(200), version="v1", about="the bad version was rolled back")

# %% [markdown]
# It was stopped at 1 %, after a handful of errors. With this rule three are enough if they come first; about fourteen good answers outweigh
# one error.
#
# ## And a good version
#
# Now `v2` is fixed, and gets a second chance with the same rule.

# %% tags=["nbval-ignore-output"]
mesh.control("hello-world-v2", reset=True)
good = canary.roll_out(rule, set_weight, send, weights=(1, 5, 25, 100))
rollout.evidence(good)

# %% tags=["check", "nbval-check-output", "covers-K12"]
check.equal([step.weight for step in good.steps], [1, 5, 25, 100], "every step was passed")
check.equal(sum(step.failed for step in good.steps), 0, "no user saw an error")
check.only(send(200), version="v2", about="the good version was promoted")

# %% [markdown]
# ## Exercises
#
# **1.** `v2` has all the traffic now. A colleague wants to compare it with the old version: send **one request in ten** to `v1` again. **Try it
# yourself** in this panel: move one weight, and the other follows. Stuck? Run `task("09-1").hint()` in a new cell. To see each *Apply* take
# effect, run `TrafficPanel(mesh, url, kind="stream")` in a new cell, and press *Start* there first.
#
# **2.** Testers call `/beta`: that path always leads to `v2` (lesson 8). Of all other requests `v2` gets one in ten.
#
# **3.** An open problem: `task("09-3").prepare(mesh)` below makes the mesh that it is about. Look around, and mend it as you like.

# %% tags=["nbval-ignore-output"]
PolicyPanel(mesh, manifest("09_canary_rollout/canary.yaml"))

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(canary.weighted('09_canary_rollout/canary.yaml', 90))

# %% tags=["exercise", "check", "nbval-check-output"]
task("09-1").check(mesh)

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(manifest('09_canary_rollout/beta.yaml'))

# %% tags=["exercise", "check", "nbval-check-output"]
task("09-2").check(mesh)

# %% tags=["nbval-ignore-output"]
task("09-3").prepare(mesh)

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(canary.weighted('09_canary_rollout/canary.yaml', 100))

# %% tags=["exercise", "check", "nbval-check-output"]
task("09-3").check(mesh)

# %% [markdown]
# ## Recap
#
# - A split is one route with several weighted destinations. Of two routes without `match`, the second is never used.
# - A weight of 1 % limits the damage to 1 % of the requests. Rolling back is one edit.
# - Weights go up step by step, and each step waits for enough answers from the new version.
# - A sequential test decides as soon as it can, and its error rates are stated in advance.
#
# ## Clean up
#
# This stops the mesh and all its processes, and marks the lesson as done.

# %% tags=["nbval-ignore-output"]
mesh.close()
finish_lesson("09")
