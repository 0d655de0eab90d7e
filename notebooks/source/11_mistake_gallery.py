# %% [markdown]
# # 11 · Mistake gallery: break it, see it, find it, fix it
#
# Most mistakes with Istio raise no error: the manifest is accepted, and then does something other than you meant. This lesson shows many of
# them. You break a mesh on purpose, look at the symptom, and let a tool tell you what is wrong. It takes about forty minutes.

# %% [markdown]
# ## Objectives
#
# After this lesson you can
#
# - tell where to look from a status and a flag in Envoy's log;
# - use a **linter**, a program that looks for mistakes, on manifest files and on a running mesh;
# - recognise the mistakes in the article that this course is based on;
# - confirm that a fix worked, because you checked the symptom again.

# %% tags=["parameters", "nbval-ignore-output"]
backend = "embedded"  # which mesh: "embedded" runs on this machine and needs nothing else
scale = "small"  # how many requests the lessons send
seed = 1  # for what a lesson draws at random

# %% tags=["nbval-ignore-output"]
import labkit
from labkit.lessons import TRAPS, check, finish_lesson, manifest, predict, reveal, show, start_lesson, task, trap, walk
from labkit.resources.lint import lint

start_lesson("11")
mesh = labkit.open_mesh(backend)
url = "http://test.example.com/"

# %% [markdown]
# ## Where to look
#
# | what you see | flag | meaning | look at |
# |---|---|---|---|
# | `kubectl` refuses | - | not YAML, or a field that does not exist | the line in the message |
# | 404 | `NR` | **n**o **r**oute for this host or path | Gateway and VirtualService: hosts, names, namespaces |
# | 503 | `NC` | **n**o **c**luster: the route leads to a host or subset that doesn't exist | the `destination` |
# | 503 | `UH` | no healthy pod (**u**pstream **h**ost): the subset is empty, or all are ejected | labels, outlier detection |
# | 503 | `UO` | refused by a limit (**o**verflow) | `connectionPool` |
# | 504 | `UT` | **u**pstream **t**imeout | `timeout`, and which pod is slow |
# | 503, or as configured | `FI` | **f**ault **i**njected | `fault` in the VirtualService |
# | 200, but not as meant | - | the rule is ignored, or another one comes first | the linter |
#
# Each trap below has five steps: **break**, see the **symptom**, **diagnose**, **fix**, **verify**.
#
# ## In full: the second rule
#
# The article first has the pods chosen at random. Later it wants all requests of one client to go to one pod. Each of the two is a
# DestinationRule. Compare their names letter by letter.

# %% tags=["nbval-ignore-output"]
second = trap("second-rule")
second.show()

# %% [markdown]
# The second one is called `hellow-world-dr`, with an extra `w`. So it does not replace the first: there are two rules for one host.
#
# **Predict:** will Kubernetes reject it? And will the requests of one client stay on one pod?

# %% tags=["nbval-ignore-output"]
predict("11-a", ..., options=["it is rejected", "accepted, and they stay on one pod", "accepted, and nothing changes"])

# %% tags=["nbval-ignore-output"]
print(second.break_it(mesh))
print(reveal("11-a", "accepted, and nothing changes", "The older rule counts"))
mesh.curl(url, n=60).pods

# %% tags=["check", "nbval-check-output", "covers-Y5"]
second.symptom(mesh)

# %% [markdown]
# Silently accepted, and no effect. This is what makes such mistakes expensive. **Diagnose:** the linter looks at all objects together. Each
# finding has a code. `IST` codes are those of Istio's own tool, `istioctl analyze`; `KIA` codes are from Kiali, a program that visualises a
# mesh; `LAB` codes are ours. You can search the web for the first two.
# How to fix it is shown when you ask: by a click in the table, or by `second.advice(mesh)`.
#
# Then **fix**: one rule, with the name of the first. In the diff, lines with `-` are removed and lines with `+` are added.

# %% tags=["nbval-ignore-output"]
mesh.lint()

# %% tags=["nbval-ignore-output"]
print(second.fix(mesh))
second.difference()

# %% tags=["check", "nbval-check-output", "covers-Y5"]
assert not mesh.lint()
second.verify(mesh)

# %% [markdown]
# ## Rejected, and then?
#
# In the article's first Gateway the `hosts:` line is too far to the left. In YAML the indentation says what belongs to what, so here the list
# of hosts belongs to `spec`, and not to the server.
#
# **Predict:** what does a caller get after `kubectl apply` has rejected this file?

# %% tags=["nbval-ignore-output"]
misplaced = trap("hosts-beside-servers")
print(misplaced.show())
print(misplaced.break_it(mesh))
print(misplaced.diagnose(mesh))
misplaced.symptom(mesh)

# %% tags=["check", "nbval-check-output", "covers-Y3"]
assert misplaced.refused
walk(mesh, [misplaced], "the misplaced hosts")

# %% [markdown]
# `walk` does all five steps, and fails if one of them doesn't go as it should. Here the symptom is that no request gets through. A rejection
# is the kindest mistake, since you hear about it right away. But what was in effect before *stays* in effect: here, no Gateway at all.
#
# ## Two that look alike: 503 and 503
#
# Two routes, each to a subset. One subset is not defined anywhere. The other is defined, but no pod has its labels.
# **Predict:** the status is 503 for both. Which one has the flag `NC`, and which one `UH`?

# %% tags=["nbval-ignore-output"]
for id in ("undefined-subset", "subset-without-pods"):
    trap(id).break_it(mesh)
    print(f"{id}: {mesh.curl(url, n=3).flags}\n{trap(id).diagnose(mesh)}\n")

# %% tags=["check", "nbval-check-output"]
walk(mesh, [trap("undefined-subset"), trap("subset-without-pods")], "two kinds of 503")

# %% [markdown]
# ## Routes that do something else
#
# Two more from the article. The prefix `/v2` is compared character by character, so it matches `/v2x` too; and when the `/v2` in `/v2/a` is
# replaced by `/`, the application sees `//a`. And weights divide the requests of *one* route: with two routes of one destination each, the
# first gets everything.

# %% tags=["nbval-ignore-output"]
for id in ("greedy-prefix", "two-weighted-routes"):
    trap(id).break_it(mesh)
    print(trap(id).diagnose(mesh), "\n")
trap("greedy-prefix").difference()

# %% tags=["check", "nbval-check-output", "covers-Y10", "covers-Y12"]
walk(mesh, [trap("greedy-prefix"), trap("two-weighted-routes")], "routes that do something else")

# %% [markdown]
# ## The whole gallery
#
# For any of these, `trap("…").show()` is the manifest, and you can go through the steps one by one as above. **Predict** the symptom first!
#
# You need to know four things for them. A short name such as `hello-world` means a Service *in the rule's own namespace*; the full name,
# `hello-world.hello-world.svc.cluster.local` (Service, then namespace), means the same everywhere. A Gateway in another namespace is
# written `namespace/name`. A VirtualService acts only at the proxies that its `gateways` name; the word `mesh` there stands for all
# sidecars, and without `gateways` it acts at the sidecars alone. And the name of a Service's port (`http`) tells Istio the protocol. Open
# the *why* of the two checks below: for each trap it shows the symptom, the linter's code, and the result after the fix.

# %% tags=["nbval-ignore-output"]
for each in TRAPS:
    print(f"{each.id:30} {each.code:8} {each.title}")

# %% tags=["check", "nbval-check-output", "covers-Y6", "covers-K6", "covers-K9"]
breaker = ("policy-under-host", "missing-namespace", "impossible-ejection", "unreadable-durations", "limits-per-pod")
walk(mesh, [trap(id) for id in breaker], "circuit breakers that break nothing")

# %% tags=["check", "nbval-check-output", "covers-C4"]
ways = ("gateway-port-8080", "second-gateway", "gateway-of-another-namespace", "host-not-at-gateway", "no-gateway-named")
others = ("rule-never-reached", "late-label", "short-host", "misspelt-host", "nameless-port", "missing-header")
walk(mesh, [trap(id) for id in (*ways, *others)], "accepted, but not as meant")

# %% [markdown]
# ## Files, before they are applied
#
# The linter also reads files, so you can run it before anything breaks. In a terminal: `labkit lint FILE…`, which exits with code 1, a number
# that a script can check, when it finds an error or a warning. Here is what it says about the article's manifests, exactly as they were
# published. It treats the files as if they were all applied, one after the other. A later object of the same name replaces an earlier one, so
# the second rule shows up only when those two are read together: the last line. And a rejected file is not examined further, so nothing is
# said about port 8080 in the first Gateway.

# %% tags=["nbval-ignore-output"]
service = [manifest("hello-world.yaml")]
published = lint(manifest("as-published"), context=service)
rules = [manifest(f"as-published/published-{number}-destinationrule.yaml") for number in ("01", "04")]
together = lint(*rules, context=service)
for each in (*published, *together):
    print(f"{each.where.split('/')[-1]:38} {each.code:8} {each.what}")

# %% tags=["check", "nbval-check-output"]
wanted = {"IST0106", "IST0130", "KIA0201", "KIA1104", "LAB01", "LAB06"}
found = {*published.codes, *together.codes}
check.that(wanted <= found, "the linter finds the article's mistakes, and the second rule too", seen=found)

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# Each begins with a cell that makes the mesh it is about, whatever you did before. Stuck? Run `task("11-1").hint()` in a new cell.
#
# **1.** "Since we send one request in five to our canary, v2, one in five fails." Find out why, and mend it: none fails, v2 answers one in five,
# and the linter finds nothing. `mine = show(mesh.resource("VirtualService", "hello-world-vs"))` is a rule in effect as YAML; there is a
# DestinationRule too, `hello-world-dr`. Change the text with `mine = mine.replace("wrong", "right")`, and apply it with `mesh.apply(mine)`.

# %% tags=["nbval-ignore-output"]
task("11-1").prepare(mesh)

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(manifest("11_mistake_gallery/canary.yaml"))

# %% tags=["exercise", "check", "nbval-check-output"]
task("11-1").check(mesh)

# %% [markdown] tags=["exercise"]
# **2.** Three mistakes on top of each other: fix one, and the next appears. `mine = show("11_mistake_gallery/exercise.yaml")` is the text of both
# rules. You are done when v2 answers every request and `mesh.lint()` finds nothing.

# %% tags=["nbval-ignore-output"]
task("11-2").prepare(mesh)
show("11_mistake_gallery/exercise.yaml")

# %% tags=["solution", "nbval-ignore-output"]
mine = show("11_mistake_gallery/exercise.yaml")
mine = mine.replace("hello-world-gatway", "hello-world-gateway")
mine = mine.replace("subset: version-2", "subset: v2")
mine = mine.replace("version: two", "version: v2")
mesh.apply(mine)

# %% tags=["exercise", "check", "nbval-check-output"]
task("11-2").check(mesh)

# %% [markdown] tags=["exercise"]
# **3.** An open problem, and one that no linter can find. "We have sent everybody to v2, and for callers from outside it is true. But other teams'
# programs, inside the mesh, still get v1." A pod of theirs is `client`: `mesh.curl("http://hello-world/", n=20, source="client")` calls from
# there. Mend it; v1's pods stay, for the way back.

# %% tags=["nbval-ignore-output"]
task("11-3").prepare(mesh)

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(manifest("11_mistake_gallery/everybody.yaml"))

# %% tags=["exercise", "check", "nbval-check-output"]
task("11-3").check(mesh)

# %% [markdown]
# ## Recap
#
# - Accepted does not mean in effect. After each apply, check the behaviour that you wanted.
# - Status and flag tell you where to look: `NR` the way in, `NC` the destination, `UH` the pods, `UO` a limit.
# - The linter compares all objects with each other and with the pods. Run it before you apply, and whenever something looks odd.
# - Names, namespaces, labels and indentation cause about half of the traps. Most of the others are rules that mean something other than their
#   author thought.
#
# ## Clean up
#
# The next call stops the mesh.

# %% tags=["nbval-ignore-output"]
mesh.close()
finish_lesson("11")
