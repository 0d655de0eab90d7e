"""The mistakes of the gallery: an entry each, with its two manifests in
manifests/11_mistake_gallery/ID/.

To add one, write broken.yaml and fixed.yaml there, and an entry here: what one sees while it is
broken (`symptom`), what one sees once it is fixed (`verify`), and the linter's code for it. Then
run `pytest tests/lessons/content/test_traps.py -k ID`; the tests take the entry from here.
"""

from __future__ import annotations

from labkit.errors import LessonError
from labkit.lessons.content import symptoms as see
from labkit.lessons.content.trap import GATEWAY, ROUTE, SUBSETS, Trap
from labkit.resources.words import closest

TRAPS = (
    Trap(
        id="hosts-beside-servers",
        title="`hosts` is indented next to `servers`, not inside one",
        published=("published-02-gateway",),
        before=(ROUTE,),
        code="IST0106",
        symptom=see.nothing_gets_through,
        verify=see.works(),
    ),
    Trap(
        id="policy-under-host",
        title="`outlierDetection` is indented under `host:`",
        published=("published-05-destinationrule",),
        code="LAB01",
        symptom=see.failing_pod_is_ejected(False),
        verify=see.failing_pod_is_ejected(True),
    ),
    Trap(
        id="missing-namespace",
        title="a rule without a namespace lands in `default`",
        code="IST0174",
        symptom=see.failing_pod_is_ejected(False),
        verify=see.failing_pod_is_ejected(True),
    ),
    Trap(
        id="misspelt-host",
        title="a rule whose host is misspelt",
        code="IST0174",
        symptom=see.one_client(stays=False),
        verify=see.one_client(stays=True),
    ),
    Trap(
        id="second-rule",
        title="a second rule for the same host, because of one letter in its name",
        published=("published-01-destinationrule", "published-04-destinationrule"),
        code="KIA0201",
        symptom=see.one_client(stays=False),
        verify=see.one_client(stays=True),
    ),
    Trap(
        id="two-weighted-routes",
        title="80 and 20 in two routes, not in one",
        published=("published-11-virtualservice",),
        before=(GATEWAY, ROUTE, SUBSETS),
        code="KIA1104",
        symptom=see.answered_by("v2"),
        verify=see.weights_80_20,
    ),
    Trap(
        id="gateway-port-8080",
        title="a Gateway names the port of the gateway's pod",
        code="LAB04",
        symptom=see.port_is(reachable=False),
        verify=see.port_is(reachable=True),
    ),
    Trap(
        id="limits-per-pod",
        title="limits that were meant per pod",
        code="LAB08",
        symptom=see.six_at_once(all_served=False),
        verify=see.six_at_once(all_served=True),
    ),
    Trap(
        id="subset-without-pods",
        title="a subset whose labels no pod has",
        code="IST0173",
        symptom=see.fails(503, "UH"),
        verify=see.answered_by("v2", subsets=("v1", "v2")),
    ),
    Trap(
        id="undefined-subset",
        title="a subset that no rule defines",
        code="IST0101",
        symptom=see.fails(503, "NC"),
        verify=see.answered_by("v2", subsets=("v1", "v2")),
    ),
    Trap(
        id="impossible-ejection",
        title="an ejection that can't happen: 10 % of few pods",
        code="LAB07",
        symptom=see.failing_pod_is_ejected(False),
        verify=see.failing_pod_is_ejected(True),
    ),
    Trap(
        id="greedy-prefix",
        title="a prefix that takes `/v2x` too, and makes `//`",
        published=("published-09-virtualservice",),
        before=(GATEWAY, ROUTE, SUBSETS),
        code="LAB06",
        symptom=see.prefix_is(greedy=True),
        verify=see.prefix_is(greedy=False),
    ),
    Trap(
        id="rule-never-reached",
        title="a route after one that takes everything",
        before=(GATEWAY, ROUTE, SUBSETS),
        code="IST0130",
        symptom=see.answered_by("v1", path="v2"),
        verify=see.answered_by("v2", path="v2"),
    ),
    Trap(
        id="late-label",
        title="a namespace labelled after its pods were created",
        then=lambda mesh: mesh.label("namespace", "shop", {"istio-injection": "enabled"}),
        code="IST0103",
        symptom=see.caller_has_sidecar(False),
        verify=see.caller_has_sidecar(True),
    ),
    Trap(
        id="short-host",
        title="a short host name in another namespace",
        before=(GATEWAY,),
        code="IST0101",
        symptom=see.fails(503, "NC"),
        verify=see.works(),
    ),
    Trap(
        id="nameless-port",
        title="a Service port without a name",
        code="IST0118",
        symptom=see.has_to_guess(True),
        verify=see.has_to_guess(False),
    ),
    Trap(
        id="unreadable-durations",
        title="durations that Istio can't read",
        code="IST0106",
        symptom=see.failing_pod_is_ejected(False),
        verify=see.failing_pod_is_ejected(True),
    ),
    Trap(
        id="second-gateway",
        title="a second Gateway for the same host and port",
        code="IST0145",
        symptom=see.team_is_reached(False),
        verify=see.team_is_reached(True),
    ),
    Trap(
        id="missing-header",
        title="affinity by a header that nobody sends",
        code="LAB09",
        symptom=see.one_client(stays=False),
        verify=see.one_client(stays=True),
    ),
    Trap(
        id="gateway-of-another-namespace",
        title="a Gateway in another namespace, named without that namespace",
        before=(GATEWAY,),
        code="IST0101",
        symptom=see.fails(404, "NR"),
        verify=see.works(),
    ),
    Trap(
        id="host-not-at-gateway",
        title="a host that the Gateway does not let in",
        before=(GATEWAY,),
        code="IST0132",
        symptom=see.fails(404, "NR", "http://www.example.com/"),
        verify=see.works("http://test.example.com/", "http://www.example.com/"),
    ),
    Trap(
        id="no-gateway-named",
        title="a VirtualService without `gateways`, called from outside",
        before=(GATEWAY,),
        code="LAB05",
        symptom=see.fails(404, "NR"),
        verify=see.works(),
    ),
)


def trap(id: str) -> Trap:
    """The trap with this id.

    >>> trap("second-rule").title
    'a second rule for the same host, because of one letter in its name'
    """
    for found in TRAPS:
        if found.id == id:
            return found
    ids = [each.id for each in TRAPS]
    near = closest(id, ids)
    hint = f"did you mean {near!r}?" if near else "choose one of them"
    raise LessonError(f"There is no trap {id!r}", seen="there: " + ", ".join(ids), try_next=hint)
