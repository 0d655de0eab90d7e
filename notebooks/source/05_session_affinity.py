# %% [markdown]
# # 5 · Session affinity: the same pod each time
#
# Some services remember things about a user. Then it matters that a user comes back to the same pod. You learn how to ask for that, why it
# sometimes has no effect at all, and when it ends. It takes about thirty minutes.
#
# ## Objectives
#
# After this lesson you can
#
# - tie each user to one pod: by a header, a cookie, an address, or a part of the URL;
# - find out why a rule is in place but has no effect;
# - say what happens to a request without the key;
# - say how many users lose their pod when the number of pods changes.

# %% tags=["parameters", "nbval-ignore-output"]
backend = "embedded"  # which mesh: "embedded" runs on this machine and needs nothing else
scale = "small"  # how many requests the lessons send
seed = 1  # for what a lesson draws at random

# %% tags=["nbval-ignore-output"]
import labkit
import pandas as pd
from labkit.lessons import check, finish_lesson, manifest, predict, reveal, show, start_lesson, task
from labkit.ui import PolicyPanel, plots

start_lesson("05")
mesh = labkit.open_mesh(backend)
url = "http://test.example.com/"

# %% [markdown]
# ## A basket that gets lost
#
# Think of a shop that keeps each user's basket in the memory of a pod. Three pods, three memories. Sending all of a user's requests to one
# pod is called **session affinity**, or sticky sessions.
#
# We use the service of lesson 2 with its way in, and the `RANDOM` rule of lesson 3. Our user has the address `10.1.0.7`. A proxy on the way
# records it in the `x-forwarded-for` header: *I am asking on behalf of this address.*
#
# **Predict:** how many pods does she reach in 40 requests?

# %% tags=["nbval-ignore-output"]
way_in = [manifest(f"04_gateway_and_virtual_service/{name}.yaml") for name in ("gateway", "virtual-service")]
mesh.apply(manifest("hello-world.yaml"), *way_in, manifest("03_load_balancing/random.yaml"))
user = {"x-forwarded-for": "10.1.0.7"}
lost = mesh.curl(url, n=check.needed("every_pod_answers", 3), headers=user)
plots.over_time(lost, by="pod")

# %% tags=["check", "nbval-check-output"]
check.every_pod_answers(lost, mesh.pods("hello-world"), about="one user, no affinity")

# %% [markdown]
# ## A rule without effect
#
# The next rule asks for affinity. `consistentHash` names the **key**: what must be the same for requests to go to the same
# pod. Here it is the header. The rule is exactly as an article published it, so read it carefully.
#
# **Predict:** we apply it next to the existing rule. How many pods does our user reach now?

# %% tags=["nbval-ignore-output"]
predict("05-a", ..., options=["one", "all three"])

# %% tags=["nbval-ignore-output"]
print(show("05_session_affinity/second-rule.yaml"))
print(mesh.apply(manifest("05_session_affinity/second-rule.yaml")))
two_rules = mesh.curl(url, n=len(lost), headers=user)
print(reveal("05-a", "all three", "There are two rules for the host now, and the older one counts"))
plots.over_time(two_rules, by="pod")

# %% tags=["check", "nbval-check-output", "covers-Y5"]
check.every_pod_answers(two_rules, mesh.pods("hello-world"), about="a second rule for the host")

# %% [markdown]
# It was accepted, there was no warning, and the user still reaches every pod. The names of the two rules differ by one letter, `hello` and
# `hellow`. So the new one did not replace the old one: there are two for the same host. Istio then uses the policy of the older one, and
# *silently* ignores the other. When a rule seems to have no effect, look for a second one.
#
# The next cell lists the rules, and deletes the first one. **Predict:** what changes?

# %% tags=["nbval-ignore-output"]
print(mesh.get("DestinationRules"))
mesh.delete("DestinationRule", "hello-world-dr", namespace="hello-world")
alone = mesh.curl(url, n=20, headers=user)
plots.over_time(alone, by="pod")

# %% tags=["check", "nbval-check-output", "covers-Y5"]
check.same_pod(alone, pods=3, about="the same rule, alone")

# %% [markdown]
# ## How does it choose? The ring
#
# A **hash** is a number computed from a text: the same text gives the same number, a different text a completely different one. Picture all
# numbers on a circle. Each pod gets many places on it, from hashes of its address. A request starts at the hash of its key, and moves along
# the circle to the next pod. No Envoy has to remember anything, and all Envoys agree without talking to each other.
#
# Now with the usual name, and with more users. **Predict:** will twelve users be spread evenly over three pods?

# %% tags=["nbval-ignore-output"]
mesh.delete("DestinationRule", "hellow-world-dr", namespace="hello-world")
mesh.apply(manifest("05_session_affinity/forwarded-for.yaml"))
twelve = {f"10.1.0.{i}": mesh.curl(url, n=4, headers={"x-forwarded-for": f"10.1.0.{i}"}) for i in range(1, 13)}
plots.over_time(pd.concat(result.frame for result in twelve.values()), by="pod")

# %% tags=["check", "nbval-check-output", "covers-Y5"]
check.same_pod(twelve, pods=3, about="twelve users")

# %% [markdown]
# Every four requests in a row come from one user. Each user stays on their pod, but some pods have more users than others, and one may have
# none: a hash knows nothing about fairness. With many users it evens out.
#
# ## A request without the key
#
# A second kind of key is a part of the URL, the **query parameter** `user` in `/?user=ann`. **Predict:** where does a request without it go?
# And one without any `x-forwarded-for`, under the rule that is in effect now?

# %% tags=["nbval-ignore-output"]
no_header = mesh.curl(url, n=len(lost))
mesh.apply(manifest("05_session_affinity/query-parameter.yaml"))
named = {name: mesh.curl(f"{url}?user={name}", n=5) for name in ("ann", "bob", "eve")}
no_parameter = mesh.curl(url, n=len(lost))
print(show("05_session_affinity/query-parameter.yaml"))
plots.compare(**{"no header": no_header, "no parameter": no_parameter, "user=ann": named["ann"]}, by="pod")

# %% tags=["check", "nbval-check-output", "covers-Y5"]
check.same_pod(named, pods=3, about="?user=")
check.same_pod(no_header, pods=3, about="no x-forwarded-for")
check.every_pod_answers(no_parameter, mesh.pods("hello-world"), about="a request without the key goes anywhere")

# %% [markdown]
# Without the parameter a request has no key, and goes to any pod. A misspelt name has the same result: no error, no affinity. But all
# requests without the header went to *one* pod! The gateway is a proxy too: it adds the caller's address to `x-forwarded-for`. So this header
# is never missing, and you are a single caller.
#
# ## A cookie
#
# A **cookie** is a piece of text that a server gives to a browser, and that the browser sends back with every later request. Here Envoy
# itself sets one for callers that don't have one, so neither the application nor the user has to do anything. curl sends cookies only if it
# is given a **jar** to keep them in.
#
# **Predict:** what do you get without a jar?

# %% tags=["nbval-ignore-output"]
mesh.apply(manifest("05_session_affinity/cookie.yaml"))
jar = {}
with_jar, no_jar = mesh.curl(url, n=10, jar=jar), mesh.curl(url, n=len(lost))
print(show("05_session_affinity/cookie.yaml"))
print("set-cookie:", with_jar[0].headers["set-cookie"])
plots.compare(with_jar=with_jar, without_jar=no_jar, by="pod")

# %% tags=["check", "nbval-check-output", "covers-Y5"]
assert list(jar) == ["hello-user"] and "Max-Age=3600;" in with_jar[0].headers["set-cookie"]
check.every_pod_answers(no_jar, mesh.pods("hello-world"), about="no jar: a new cookie each time")
check.same_pod(with_jar, pods=3, about="a browser that keeps its cookie")

# %% [markdown]
# ## The caller's address
#
# The fourth key is the address that the request comes from. It needs neither a header nor a cookie.
#
# **Predict:** twelve users sit in one office. Below, each sends a different `x-forwarded-for`, but all requests come from one address, yours.
# How many pods do they use?

# %% tags=["nbval-ignore-output"]
mesh.apply(manifest("05_session_affinity/source-address.yaml"))
office = [mesh.curl(url, n=2, headers={"x-forwarded-for": address}).frame for address in twelve]
plots.over_time(pd.concat(office), by="pod")

# %% tags=["check", "nbval-check-output", "covers-Y5"]
check.same_pod(pd.concat(office), pods=3, about="one address, whatever the header says")

# %% [markdown]
# Anything in between, such as a cloud load balancer or a port-forward, may replace the users' addresses with its own. Then they all look like
# one user.
#
# ## When the pods change
#
# "The same pod each time" holds *only while the set of pods stays the same*. A fourth pod gets places on the circle too, and takes over the
# users just before them. The circle keeps its size, so each old pod gives up some places as well. **Predict:** what share of all users ends
# up on a different pod? If users were reassigned from scratch, it would be three in four.

# %% tags=["nbval-ignore-output"]
mesh.apply(manifest("05_session_affinity/forwarded-for.yaml"))
n = check.needed("few_keys_moved", 3, 4) if scale == "small" else 1000
users = [f"10.2.{i // 250}.{i % 250}" for i in range(n)]


def owners():
    """The pod of each user. The requests need no ids, since nobody will look for them in a log."""
    return {u: mesh.curl(url, headers={"x-forwarded-for": u}, request_ids=False)[0].pod for u in users}


three = owners()

# %% tags=["nbval-ignore-output"]
mesh.scale("hello-world-v2", 2)
mesh.wait_for(lambda: len(set(owners().values())) == 4, "the new pod to have users")
four = owners()
moved = ["moved" if three[u] != four[u] else "stayed" for u in users]
print(f"{moved.count('moved')} of {len(users)} users moved")
plots.share(pd.DataFrame({"user": users, "outcome": moved}), by="outcome", expected=["stayed", "moved"])

# %% tags=["check", "nbval-check-output", "covers-K5"]
check.few_keys_moved(three, four, pods_before=3, pods_after=4)

# %% [markdown]
# About a third of the users moved (your number is above the plot), and their baskets are lost. The same happens when a pod dies or is
# upgraded. So affinity makes losing a session *rare*, but can't rule it out. What must not be lost belongs in a store outside the pods.
#
# ## Exercises
#
# **1.** Your shop identifies its users by the `x-user` header. Send all requests of a user to one pod. **Try it yourself** in this panel, which
# shows the rule in effect. Try the other keys too: what does Envoy get for a cookie? Without a browser:
# `panel.set("loadBalancer.consistentHash.httpHeaderName", "…")`, then `panel.changes`, `panel.apply()` and `panel.got`. Stuck? Run
# `task("05-1").hint()` in a new cell.
#
# **2** and **3** begin with a cell that makes the mesh they are about, whatever you did before. Look around, and mend it as you like: what
# counts is where requests go.

# %% tags=["nbval-ignore-output"]
panel = PolicyPanel(mesh, manifest("05_session_affinity/forwarded-for.yaml"))
panel

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(manifest('05_session_affinity/user-header.yaml'))

# %% tags=["exercise", "check", "nbval-check-output"]
task("05-1").check(mesh)

# %% tags=["nbval-ignore-output"]
task("05-2").prepare(mesh)

# %% tags=["solution", "nbval-ignore-output"]
mesh.delete("DestinationRule", "hello-world-dr")
mesh.apply("""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: sessions-dr, namespace: hello-world}
spec:
  host: hello-world
  trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-session}}}
""")

# %% tags=["exercise", "check", "nbval-check-output"]
task("05-2").check(mesh)

# %% tags=["nbval-ignore-output"]
task("05-3").prepare(mesh)

# %% tags=["solution", "nbval-ignore-output"]
mesh.apply(manifest('05_session_affinity/cookie.yaml'))

# %% tags=["exercise", "check", "nbval-check-output"]
task("05-3").check(mesh)

# %% [markdown]
# ## Recap
#
# - `consistentHash` ties a key to a pod. The key is a header, a cookie, the caller's address or a query parameter.
# - Have one DestinationRule per host. The policy of a second one is silently ignored.
# - A request without the key goes to any pod. `x-forwarded-for` is never missing behind the gateway; Envoy sets the cookie.
# - When three pods become four, about a third of the users move to a different pod, not three in four.
#
# ## Clean up
#
# This stops the mesh and all its processes, and marks the lesson as done.

# %% tags=["nbval-ignore-output"]
mesh.close()
finish_lesson("05")
