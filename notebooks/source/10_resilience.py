# %% [markdown]
# # 10 · Resilience: timeouts, retries, faults and mirrors
#
# Pods get slow, pods fail, and new versions have bugs that nobody knows about yet. You learn four tools for this, and measure each of them:
# what it does for the caller, and what it costs the pods. It takes about thirty minutes.
#
# ## Objectives
#
# After this lesson you can
#
# - limit how long a caller waits with a **timeout**;
# - hide a failing pod from callers with **retries**, and still find it;
# - explain how retries turn a small problem into a big one, and limit that;
# - inject faults on purpose, and test a new version on copies of real requests.

# %% tags=["parameters", "nbval-ignore-output"]
backend = "embedded"  # which mesh: "embedded" runs on this machine and needs nothing else
scale = "small"  # how many requests the lessons send
seed = 1  # for what a lesson draws at random

# %% tags=["nbval-ignore-output"]
import labkit
from labkit.lessons import check, finish_lesson, manifest, predict, reveal, show, start_lesson, task
from labkit.ui import BreakerTimeline, plots

start_lesson("10")
mesh = labkit.open_mesh(backend)
url = "http://test.example.com/"

# %% tags=["nbval-ignore-output"]
# the service and its way in, as in lesson 2; the pods take turns (lesson 3), so counts are easy to follow
mesh.apply(manifest("hello-world.yaml"), manifest("02_first_microservice/gateway.yaml"))
mesh.apply(manifest("02_first_microservice/virtual-service.yaml"), manifest("03_load_balancing/round-robin.yaml"))


def received(workload="hello-world"):
    """How many requests have reached the pods, as counted by the pods themselves."""
    return int(mesh.states(workload)["received"].sum())


# %% [markdown]
# ## Timeouts
#
# All pods are slow today: each takes two seconds. A caller without a timeout waits as long as it takes, tying up a connection and memory
# meanwhile. A **timeout** is the longest time that a caller is made to wait.
#
# **Predict:** the timeout is 200 ms. What status does the caller get? And do the pods get the request?

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
check.within(hurried.frame["latency_ms"].min(), 150, 900, "no request is cut off before the timeout")
check.took_at_most(hurried, 1900)
check.status_counts(hurried, {504: 3}, about="cut off by the timeout")

# %% [markdown]
# 504 is "gateway timeout", and Envoy's flag for it is `UT`, upstream request timeout. The gateway gave up and closed its connection. By then
# the pods had started the work, and most programs don't notice that nobody is waiting any more.
#
# ## Retries
#
# Now the pods are fast again, but one of the three fails every time. A **retry** sends the request again instead of returning the error to
# the caller. Envoy then picks *another* pod if there is one. By default Istio retries only requests that certainly never reached an
# application, so a 500 goes straight to the caller.
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
# The problem seems to be gone. It isn't: the pod still fails, but nobody sees it any more. Retries hide a failing pod from callers, *and from
# you*. Where can you still see it? In two places: the pods' own counters, and the gateway's **access log**, where each request has a line
# with its number of attempts.

# %% tags=["nbval-ignore-output"]
log = mesh.access_log("gateway")
log = log[log["lab"].isin(helped.column("id"))]  # the lines of these 30 requests
tries = received() - before
print(f"30 requests, {tries} attempts at the pods")
plots.share(log, by="attempts")

# %% tags=["check", "nbval-check-output"]
states = mesh.states("hello-world").set_index("pod")
assert states["failed"].drop(failing).sum() == 0
extra = int(log["attempts"].sum()) - 30
check.that(extra == tries - 30 > 0, "every extra attempt is in the access log, and reached a pod")

# %% [markdown]
# (About half of the requests took two attempts, not a third: each second attempt used up a good pod's turn.)
#
# ## Retry storms
#
# One failing pod costs little. But what if *all* pods fail, for example because they are overloaded? Then each retry adds load to pods that
# already have too much. And often several layers retry: the proxy does, and the caller's program does too.
#
# **Predict:** five people each try three times, and the proxy makes up to three attempts for each try. How many requests do the pods get?
# (`BreakerTimeline(mesh)` in a new cell shows retries as they happen.)

# %% tags=["nbval-ignore-output"]
predict("10-a", ..., options=["15", "30", "45"])

# %% tags=["nbval-ignore-output"]
mesh.control("hello-world", fail_share=1.0, fail_status=500)
before = received()
answers = [mesh.curl(url) for person in range(5) for attempt in range(3)]
storm = received() - before
print(f"5 people, {len(answers)} requests at the gateway, {storm} at the pods")
reveal("10-a", "45", "Five people, times three tries, times three attempts")

# %% tags=["check", "nbval-check-output"]
check.equal(storm, 45, "attempts multiply: every layer that retries makes the storm bigger")

# %% [markdown]
# So let only one layer retry, and limit it. `maxRetries` in a DestinationRule is part of the circuit breaker: the number of retries that may
# be in progress at a time, from one Envoy to the whole Service. All other requests get the error right away.
#
# Ten simultaneous requests reach pods that take half a second to fail. Without the limit the pods get 30. **Predict:** how many with one
# retry at a time?

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
check.equal(free, 30, "without a limit each request is attempted three times")
check.equal(limited, 12, "with one retry at a time a storm can't start")

# %% [markdown]
# All ten failed at the same moment. One of them got the only retry, the other nine got none. That one failed again half a second later and
# used its second retry. Ten plus two is twelve.
#
# ## Faults on purpose
#
# How do you know that callers cope with errors? Create some. **Fault injection** makes the proxy answer with an error, or delay requests, for
# a random share of them. No pod needs to break. Envoy marks such answers with the flag `FI`, fault injected.
#
# **Predict:** three in ten are aborted with a 503. Does a pod notice?

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
# A **delay** is the other fault: is the caller's timeout set well? Envoy records `DI`, delay injected, in its access log, so you don't need a
# stopwatch to get the share. The line in the plot is what was configured.

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
check.within(usual, 40, 250, "a delayed request takes longer by the delay")
check.split(log, {"DI": 50, "-": 50}, against={"DI": 25, "-": 75}, over="flags")

# %% [markdown]
# ## Mirrors
#
# A new version passed all its tests. Will it cope with what real users send? A **mirror** sends it copies of real requests. Nobody waits for
# its answers and nobody sees them, so it can fail as often as it likes.
#
# The rule needs the two versions as subsets (lesson 8). **Predict:** v2 fails every time. What do the callers see?

# %% tags=["nbval-ignore-output"]
predict("10-b", ..., options=["an error each time", "an error now and then", "no error"])

# %% tags=["nbval-ignore-output"]
mesh.apply(manifest("10_resilience/subsets.yaml"), manifest("10_resilience/mirror.yaml"))
mesh.control("hello-world-v2", fail_share=1.0, fail_status=500)
before = received("hello-world-v2")
n = check.needed("only")
mirrored = mesh.curl(url, n=n)
mesh.wait_for(lambda: received("hello-world-v2") - before >= n, "the copies to arrive", timeout_s=5)
print(f"{n} requests; copies that reached v2: {received('hello-world-v2') - before}; callers saw {mirrored.codes}")
print(show("10_resilience/mirror.yaml"))
print(reveal("10-b", "no error", "Nobody waits for the answers to a copy"))
plots.share(mirrored, by="version", expected={"v1": 1.0, "v2": 0.0})

# %% tags=["check", "nbval-check-output"]
check.equal(received("hello-world-v2") - before, n, "v2 got a copy of every request")
check.all_ok(mirrored, about="mirrored to a version that fails")
check.only(mirrored, version="v1", about="to the callers")

# %% [markdown]
# A copy is a real request. If the request says "buy", v2 buys a second time. So mirror only requests that change nothing, or to a version
# with its own data store.
#
# ## Exercises
#
# **1.** One pod takes 2.5 s, the others are fast. Write a rule that gives every caller a 200 within 1.5 s. A request may take two attempts at most.
# The fields you need are under `retries`: `attempts` (how often to try *again*), `perTryTimeout` (how long one attempt may take) and
# `retryOn` (which failures to retry; `5xx` includes an attempt that timed out). Start from the text of `retries.yaml` above, and apply yours
# with `mesh.apply`. Then `mesh.curl(url, n=6).frame[["status", "latency_ms"]]` shows whether it works. Stuck? Run `task("10-1").hint()` in a
# new cell.
#
# **2.** Requests with the header `x-tester: yes` get an injected 503 each time, so that testers see how their client copes with it. All others
# are answered as before.
#
# **3.** An open problem: `task("10-3").prepare(mesh)` below makes the mesh that it is about. Look around, and mend it as you like.

# %% tags=["nbval-ignore-output"]
mesh.control("hello-world", reset=True)
mesh.apply(manifest("03_load_balancing/round-robin.yaml"), manifest("02_first_microservice/virtual-service.yaml"))
mesh.control(failing, delay_ms=2500)
mesh.curl(url, n=3).frame[["status", "pod", "latency_ms"]]

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(manifest("10_resilience/slow-pod.yaml"))

# %% tags=["exercise", "check", "nbval-check-output"]
task("10-1").check(mesh)

# %% tags=["solution", "nbval-ignore-output"]
testers = "match: [{headers: {x-tester: {exact: 'yes'}}}]"
text = show("10_resilience/abort.yaml").replace("value: 30", "value: 100")
text = text.replace("- fault", f"- {testers}\n      fault")
mesh.apply(text + "    - route: [{destination: {host: hello-world}}]\n")

# %% tags=["exercise", "check", "nbval-check-output"]
mesh.control("hello-world", reset=True)  # no pod is slow any more
task("10-2").check(mesh)

# %% tags=["nbval-ignore-output"]
task("10-3").prepare(mesh)

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(manifest('02_first_microservice/virtual-service.yaml'))

# %% tags=["exercise", "check", "nbval-check-output"]
task("10-3").check(mesh)

# %% [markdown]
# ## Recap
#
# - A timeout ends the waiting (504, `UT`), not the work: the pods still got the request.
# - Retries hide a failing pod. Count attempts, not just answers: in the access log, or at the pods.
# - Attempts multiply from layer to layer. Let one layer retry, and limit it with `maxRetries`.
# - Injected faults (`FI`, `DI`) test the callers. A mirror tests a new version without any caller noticing.
#
# ## Clean up
#
# This stops the mesh and all its processes, and marks the lesson as done.

# %% tags=["nbval-ignore-output"]
mesh.close()
finish_lesson("10")
