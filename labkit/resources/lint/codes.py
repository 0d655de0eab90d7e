"""What the linter can find, by code.

A code of Istio's own analyzer (IST…, what `istioctl analyze` prints) where it has one, else Kiali's
(KIA…), else ours (LAB…). `also` names the other tool's code for the same mistake, so that a search
for either leads here. Levels are ours: "error" is certainly broken, "warning" does not do what its
author thinks, "info" depends on what callers do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Code:
    """One kind of mistake: its name, how bad it is, and why it matters."""

    code: str
    name: str
    level: Level
    why: str
    also: tuple[str, ...] = ()


_ALL = (
    Code(
        "IST0101",
        "ReferencedResourceNotFound",
        "error",
        "Kubernetes accepts the object: it does not treat a dangling reference as an error. "
        "Requests that hit it fail, with 404 where a Gateway is missing and 503 (flag NC, no "
        "cluster) where a host, a port or a subset is missing.",
        ("KIA1101", "KIA1102", "KIA1107"),
    ),
    Code(
        "IST0102",
        "NamespaceNotInjected",
        "warning",
        "Pods in a namespace without the label get no sidecar: Istio does not see what they send.",
    ),
    Code(
        "IST0103",
        "PodMissingProxy",
        "warning",
        "A sidecar is added when a pod is created. Pods that existed before the namespace was "
        "labelled have none: no rule applies to the requests that they send.",
    ),
    Code(
        "IST0106",
        "SchemaValidationError",
        "error",
        "The API server rejects the object, so whatever was there before stays in effect.",
    ),
    Code(
        "IST0107",
        "MisplacedAnnotation",
        "warning",
        "Nothing reads the annotation on such an object: Istio reads those of pods on the pods, "
        "which a Deployment makes of its template.",
    ),
    Code(
        "IST0108",
        "UnknownAnnotation",
        "warning",
        "Kubernetes takes any annotation. One of Istio's that does not exist, or that is misspelt, "
        "is silently ignored.",
    ),
    Code(
        "IST0109",
        "ConflictingMeshGatewayVirtualServiceHosts",
        "error",
        "Sidecars use one VirtualService per host and ignore all others.",
        ("KIA1106",),
    ),
    Code(
        "IST0112",
        "VirtualServiceDestinationPortSelectorRequired",
        "error",
        "With several ports, Istio can't know which one is meant, and the route leads nowhere.",
    ),
    Code(
        "IST0118",
        "PortNameIsNotUnderNamingConvention",
        "warning",
        "The name, up to its first dash, tells Istio the protocol. Without it each sidecar has "
        "to guess "
        "from the first bytes "
        "of each connection. After a wrong guess, or where the server speaks first, no route and "
        "no retry applies, or requests fail with 503.",
        ("KIA0601",),
    ),
    Code(
        "IST0130",
        "VirtualServiceUnreachableRule",
        "warning",
        "Rules are tried from top to bottom, and the first that matches takes the request.",
    ),
    Code(
        "IST0131",
        "VirtualServiceIneffectiveMatch",
        "warning",
        "Matches are tried from top to bottom: one that is the same as, or narrower than, an "
        "earlier one gets nothing.",
    ),
    Code(
        "IST0132",
        "VirtualServiceHostNotFoundInGateway",
        "warning",
        "A gateway serves only hosts that both objects name: requests for other hosts get 404.",
    ),
    Code(
        "IST0133",
        "SchemaWarning",
        "warning",
        "The object is accepted, but this field does not do what its author may think.",
    ),
    Code(
        "IST0145",
        "ConflictingGateways",
        "warning",
        "Two Gateways with the same selector, port and host end up in one listener. The routes "
        "of their VirtualServices are concatenated, the older one's first: what it matches never "
        "reaches the other's.",
        ("KIA0301",),
    ),
    Code(
        "IST0162",
        "GatewayPortNotDefinedOnService",
        "warning",
        "The gateway's Service does not expose this port, so nobody outside the cluster can call "
        "it.",
    ),
    Code(
        "IST0173",
        "DestinationRuleSubsetNotSelectPods",
        "error",
        "A route to a subset without pods answers 503 (flag UH, no healthy upstream).",
        ("KIA0203",),
    ),
    Code(
        "IST0174",
        "UnknownDestinationRuleHost",
        "warning",
        "A rule for a host that does not exist is accepted and silently ignored.",
        ("KIA0202",),
    ),
    Code(
        "KIA0201",
        "MoreThanOneDestinationRule",
        "warning",
        "For one host, Istio uses the older rule's trafficPolicy, and the first definition of a "
        "subset. The other one is silently ignored.",
    ),
    Code(
        "KIA0209",
        "SubsetWithoutLabels",
        "warning",
        "A subset without labels is every pod of the service.",
    ),
    Code(
        "KIA1104",
        "WeightOfTheOnlyDestination",
        "warning",
        "Weights divide the requests of one route among its destinations. The only destination "
        "of a route gets all of them, whatever its weight.",
    ),
    Code(
        "KIA1105",
        "DestinationTwice",
        "warning",
        "The same host and subset twice in one route: their weights add up, which is hardly what "
        "was intended.",
    ),
    Code(
        "KIA1106",
        "MoreThanOneVirtualService",
        "warning",
        "At a gateway the routes of both are concatenated, the older one's first; their order is "
        "not guaranteed.",
    ),
    Code(
        "LAB01",
        "NotAnObject",
        "error",
        "What can't be read can't be applied: kubectl rejects the whole document, and what was "
        "there stays in effect.",
    ),
    Code(
        "LAB02",
        "NotLinted",
        "info",
        "This kind is not linted, so an absence of findings does not mean that nothing is wrong.",
    ),
    Code(
        "LAB03",
        "NamespaceNotWritten",
        "warning",
        "Without metadata.namespace the object lands in kubectl's current namespace, most often "
        "`default`, and short host names in it then mean Services in that namespace.",
    ),
    Code(
        "LAB04",
        "GatewayPortIsTargetPort",
        "warning",
        "A Gateway names ports of the gateway's Service (80). The port of its pod (8080) happens "
        "to work, since both end up in the same listener, but nobody can call the port that is "
        "written there.",
    ),
    Code(
        "LAB05",
        "VirtualServiceNotAtGateway",
        "warning",
        "A VirtualService without `gateways` is for callers inside the mesh. Requests from "
        "outside get 404.",
    ),
    Code(
        "LAB06",
        "PrefixTakesMore",
        "warning",
        "A prefix is compared character by character, not by path segment; and a rewrite "
        "replaces only the characters that matched.",
    ),
    Code(
        "LAB07",
        "EjectionImpossible",
        "warning",
        "Envoy ejects a pod only while the share of ejected pods stays within "
        "maxEjectionPercent, which is 10 by default. With few pods, a single one already exceeds "
        "that; and each subset counts only its own pods.",
    ),
    Code(
        "LAB08",
        "LimitBelowPods",
        "warning",
        "Connection-pool limits are not per pod: each calling Envoy counts all its connections "
        "to the service together. And since it always allows a pod its first connection, a limit "
        "below the number of pods is not even enforced.",
    ),
    Code(
        "LAB09",
        "HashHeaderMayBeMissing",
        "info",
        "Requests without the header are spread as if there were no affinity, without any warning.",
    ),
    Code(
        "LAB10",
        "EnvoyRefusesHeaderValue",
        "error",
        "Envoy replaces %NAME% in a value. Istio does not look whether there is such a NAME, and "
        "Envoy refuses all routes of the listener for a single one that it does not know: what "
        "was in effect before stays, for every host.",
    ),
    Code(
        "LAB11",
        "PatternInPlainText",
        "warning",
        "Only `regex` is a pattern. In `exact`, `prefix` and `rewrite.uri` each character stands "
        "for itself: requests do not match, and get 404 or the next route.",
    ),
    Code(
        "LAB12",
        "RegexTooLarge",
        "error",
        "Istio checks that an expression is valid, not how large it becomes. Envoy refuses all "
        "routes of the listener for one that is too large: what was in effect before stays, for "
        "every host.",
    ),
    Code(
        "LAB13",
        "EnvoyRefusesValue",
        "error",
        "Istio does not look at line breaks here, nor at the length of a query parameter's name, a "
        "status of 600 or the size of a ring. Envoy refuses the cluster, or all routes of the "
        "listener, for one of them: what was in effect before stays.",
    ),
    Code(
        "LAB14",
        "EnvoyEndsOnTable",
        "error",
        "Istio takes 1 for a prime and lets it pass as a table's size. Maglev divides by the size "
        "less one: every Envoy that hears of it ends, and ends again when it is started anew.",
    ),
)

CODES = {entry.code: entry for entry in _ALL}
