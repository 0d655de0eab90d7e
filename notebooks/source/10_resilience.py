# %% [markdown]
# # 10 · Resilience: time-outs, retries, faults and mirrors
#
# Pods get slow, pods fail, and new versions have faults that nobody knows of yet. You learn four tools against this, and
# measure each: what it does for the caller, and what it costs the pods. It takes about thirty minutes.

# %% [markdown]
# ## Objectives
#
# After this lesson you can
#
# - limit how long a caller waits with a **time-out**;
# - hide a failing pod from callers with **retries**, and still find it;
# - say how retries turn a small trouble into a big one, and put a limit to that;
# - make faults on purpose, and try a new version on copies of real requests.

# %% tags=["parameters", "nbval-ignore-output"]
backend = "embedded"  # which mesh: "embedded" runs on this machine and needs nothing else
scale = "small"  # how many requests the lessons send
seed = 1  # for whatever a lesson draws by chance itself

# %% tags=["nbval-ignore-output"]
import labkit
from labkit.lessons import check, finish_lesson, manifest, show, start_lesson, task
from labkit.ui import BreakerTimeline, plots

mesh = labkit.open_mesh(backend)
start_lesson("10")
url = "http://test.example.com/"

# %% tags=["nbval-ignore-output"]
# the service and its way in, as in lesson 2; the pods take turns (lesson 3), so that counts are easy to follow
mesh.apply(manifest("hello-world.yaml"), manifest("02_first_microservice/gateway.yaml"))
mesh.apply(manifest("02_first_microservice/virtual-service.yaml"), manifest("03_load_balancing/round-robin.yaml"))


def received(workload="hello-world"):
    """How many requests have come in at the pods, counted by the pods themselves."""
    return int(mesh.states(workload)["received"].sum())


# %% [markdown]
# ## Time-outs
#
# All pods are slow today: each takes two seconds. A caller without a time-out waits as long as it takes, and keeps a
# connection and memory busy meanwhile. A **time-out** is the longest time that anybody will wait.
#
# **Predict:** the time-out is 200 ms. What status does the caller get? And do the pods get the request?

# %% tags=["nbval-ignore-output"]
mesh.control("hello-world", delay_ms=2000)
patient = mesh.curl(url)
mesh.apply(manifest("10_resilience/timeout.yaml"))
before = received()
hurried = mesh.curl(url, n=3)
print("\n".join(f"{r.status} {r.flags:>2} after {r.latency_ms:4.0f} ms" for r in (patient[0], *hurried)))
show("10_resilience/timeout.yaml")

# %% tags=["check", "nbval-check-output"]
assert hurried.flags == {"UT": 3} and received() - before == 3, "each request reached a pod"
check.within(hurried.frame["latency_ms"].min(), 150, 900, "nobody is sent away before the time is up")
check.took_at_most(hurried, 1900)
check.status_counts(hurried, {504: 3}, about="cut short by the time-out")

# %% [markdown]
# 504 is "gateway time-out", and Envoy's flag for it is `UT`, upstream request time-out. The gateway gave up and closed its connection.
# The pods had begun the work by then, and most programs do not notice that nobody waits any more.
#
# ## Retries
#
# Now the pods are fast again, but one of the three fails each time. A **retry** is to ask once more instead of giving the
# error to the caller. Envoy then takes *another* pod if there is one. Without an order of ours Istio retries only what
# surely never reached a program, so an error 500 goes straight to the caller.
#
# **Predict:** of 30 requests, how many are errors without retries? And with up to two retries?

# %% tags=["nbval-ignore-output"]
mesh.control("hello-world", reset=True)
failing = mesh.pods("hello-world-v2")[0].name
mesh.control(failing, fail_share=1.0, fail_status=500)
mesh.apply(manifest("02_first_microservice/virtual-service.yaml"))
without = mesh.curl(url, n=30)
mesh.apply(manifest("10_resilience/retries.yaml"))
before = received()
helped = mesh.curl(url, n=30)
print(show("10_resilience/retries.yaml"))
plots.compare(without_retries=without, with_retries=helped, by="status")

# %% tags=["check", "nbval-check-output"]
check.status_counts(without, {200: 20, 500: 10}, about="no retries")
check.all_ok(helped, about="with retries")

# %% [markdown]
# The trouble is gone, it seems. It is not: the pod fails as before, and nobody sees it any more. Retries hide a failing pod from callers,
# *and from you*. Where can you still see it? In two places: what the pods count, and the **access log** of the gateway, in which each
# request has a line with the number of its attempts.

# %% tags=["nbval-ignore-output"]
log = mesh.access_log("gateway")
log = log[log["lab"].isin(helped.column("id"))]  # the lines of these 30 requests
tries = received() - before
print(f"30 requests, {tries} tries at the pods")
plots.share(log, by="attempts")

# %% tags=["check", "nbval-check-output"]
states = mesh.states("hello-world").set_index("pod")
assert states["failed"].drop(failing).sum() == 0
extra = int(log["attempts"].sum()) - 30
check.that(extra == tries - 30 > 0, "each try more than one stands in the access log, and came in at a pod")

# %% [markdown]
# (About half of the requests were tried twice, not a third: each second try used up the turn of a good pod.)
#
# ## Retry storms
#
# One failing pod costs little. But what if *all* pods fail, because they have too much to do, say? Then each retry is more load on those
# who have too much already. And often several layers retry: the proxy does, and the caller's program does as well.
#
# **Predict:** five people each try three times, and the proxy asks up to three times for each. How many requests do the pods get?
# (`BreakerTimeline(mesh)` in a new cell shows retries while they happen.)

# %% tags=["nbval-ignore-output"]
mesh.control("hello-world", fail_share=1.0, fail_status=500)
before = received()
answers = [mesh.curl(url) for person in range(5) for attempt in range(3)]
storm = received() - before
print(f"5 people, {len(answers)} requests at the gateway, {storm} at the pods")

# %% tags=["check", "nbval-check-output"]
check.equal(storm, 45, "tries multiply: every layer that retries makes the storm bigger")

# %% [markdown]
# So let one layer retry, and put a limit to it. `maxRetries` in a DestinationRule is part of the circuit breaker: so many
# retries may be under way at a time, from one Envoy to the whole Service. All others get the error at once.
#
# Ten requests at the same time meet pods that need half a second to fail. Without the limit the pods get 30. **Predict:** and with one retry at a time?

# %% tags=["nbval-ignore-output"]
mesh.control("hello-world", delay_ms=500)
before = received()
mesh.start(url, n=10).wait()
free = received() - before
mesh.apply(manifest("10_resilience/max-retries.yaml"))
before = received()
mesh.start(url, n=10).wait()
limited = received() - before
print(f"at the pods: {free} without the limit, {limited} with it")
show("10_resilience/max-retries.yaml")

# %% tags=["check", "nbval-check-output"]
check.equal(free, 30, "without a limit each request is tried three times")
check.equal(limited, 12, "with one retry at a time a storm can't start")

# %% [markdown]
# All ten failed at the same moment. One of them got the only retry, the other nine got none. That one failed again half a second later and
# used its second retry. Ten and two are twelve.
#
# ## Faults on purpose
#
# How do you know that callers cope with errors? Make some. **Fault injection** lets the proxy answer with an error, or hold requests
# back, for a share of them drawn by chance. No pod needs to break. Envoy marks such answers with the flag `FI`, fault injected.
#
# **Predict:** three in ten are aborted with 503. Does a pod notice?

# %% tags=["nbval-ignore-output"]
mesh.control("hello-world", reset=True)
mesh.apply(manifest("03_load_balancing/round-robin.yaml"), manifest("10_resilience/abort.yaml"))
n = check.needed("error_rate_near", 0.3) if scale == "small" else 6000
aborted = mesh.fortio(url, connections=8, requests=n)
print(show("10_resilience/abort.yaml"))
plots.codes(aborted)

# %% tags=["check", "nbval-check-output"]
assert set(aborted.codes) == {200, 503} and set(aborted.flags) == {"FI"}, "each error has the flag"
assert received() == aborted.codes[200], "no aborted request reached a pod"
check.error_rate_near(aborted, 0.3, about="injected")

# %% [markdown]
# A **delay** is the other fault: is the time-out of a caller set well? Envoy notes `DI`, delay injected, in its access log. So the share needs no
# stop watch. The line of the picture is what was ordered.

# %% tags=["nbval-ignore-output"]
mesh.apply(manifest("10_resilience/delay.yaml"))
n = check.needed("split", {"DI": 50, "-": 50}, against={"DI": 25, "-": 75})
held = mesh.fortio(url, connections=16, requests=n)
ids = set(held.column("id"))
mesh.wait_for(lambda: ids <= set(mesh.access_log()["lab"]), "the access log to have all requests")
log = mesh.access_log()
log = log[log["lab"].isin(ids)]
print(show("10_resilience/delay.yaml"))
plots.share(log, by="flags", expected={"DI": 0.5, "-": 0.5})

# %% tags=["check", "nbval-check-output"]
usual = log.loc[log["flags"] == "DI", "duration_ms"].median()  # a busy Envoy may be some ms early or late
check.within(usual, 40, 250, "a delayed request takes the delay longer")
check.split(log, {"DI": 50, "-": 50}, against={"DI": 25, "-": 75}, over="flags")

# %% [markdown]
# ## Mirrors
#
# A new version passed all its tests. Will it cope with what real users send? A **mirror** gives it copies of real requests. Nobody
# waits for it and nobody sees its answers, so it may fail as often as it likes.
#
# The rule needs the two versions as subsets (lesson 8). **Predict:** v2 fails each time. What do the callers see?

# %% tags=["nbval-ignore-output"]
mesh.apply(manifest("10_resilience/subsets.yaml"), manifest("10_resilience/mirror.yaml"))
mesh.control("hello-world-v2", fail_share=1.0, fail_status=500)
before = received("hello-world-v2")
n = check.needed("only")
mirrored = mesh.curl(url, n=n)
mesh.wait_for(lambda: received("hello-world-v2") - before >= n, "the copies to come in", timeout_s=5)
print(f"{n} requests; copies that came in at v2: {received('hello-world-v2') - before}; callers saw {mirrored.codes}")
print(show("10_resilience/mirror.yaml"))
plots.share(mirrored, by="version", expected={"v1": 1.0, "v2": 0.0})

# %% tags=["check", "nbval-check-output"]
check.equal(received("hello-world-v2") - before, n, "v2 got a copy of every request")
check.all_ok(mirrored, about="mirrored to a version that fails")
check.only(mirrored, version="v1", about="to the callers")

# %% [markdown]
# A copy is a real request. If the request says "buy", v2 buys a second time. So mirror only what changes nothing, or to a version with a
# store of its own.
#
# ## Exercise
#
# One pod takes 2.5 s, the others are fast. Write a rule with which every caller gets a 200, and within 1.5 s. A request may cost two
# tries at most. The words you need are under `retries`: `attempts` (how often to ask *again*), `perTryTimeout` (how long one try may
# take) and `retryOn` (after what; `5xx` also means a try that was cut short). Start from the text of `retries.yaml` above, and apply
# yours with `mesh.apply`. Then `mesh.curl(url, n=6).frame[["status", "latency_ms"]]` shows whether it works. Stuck? Run
# `task("10-1").hint()` in a new cell.

# %% tags=["nbval-ignore-output"]
mesh.control("hello-world", reset=True)
mesh.apply(manifest("03_load_balancing/round-robin.yaml"), manifest("02_first_microservice/virtual-service.yaml"))
mesh.control(failing, delay_ms=2500)
mesh.curl(url, n=3).frame[["status", "pod", "latency_ms"]]

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(manifest("10_resilience/slow-pod.yaml"))

# %% tags=["exercise", "check", "nbval-check-output"]
task("10-1").check(mesh)

# %% [markdown]
# ## Recap
#
# - A time-out ends the waiting (504, `UT`), not the work: the pods got the request all the same.
# - Retries hide a failing pod. Count tries, not only answers: in the access log, or at the pods.
# - Tries multiply from layer to layer. Let one layer retry, and limit it with `maxRetries`.
# - Faults on purpose (`FI`, `DI`) test the callers. A mirror tests a new version, and no caller notices.
#
# ## Clean up
#
# This ends the mesh with all its processes, and notes that you came to the end.

# %% tags=["nbval-ignore-output"]
mesh.close()
finish_lesson("10")
