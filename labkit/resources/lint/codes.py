"""What the linter can find, by code.

A code of Istio's own analyzer (IST…, what `istioctl analyze` prints) where it has one, else Kiali's
(KIA…), else ours (LAB…). `also` names the other tool's code for the same mistake, so that a search
for either leads here. Levels are ours: "error" is broken for sure, "warning" does not do what its
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
        "Kubernetes accepts the object: a reference to nothing is no error for it. Requests that "
        "meet it fail, with "
        "404 where a Gateway is missing and 503 (flag NC, no cluster) where a host, a port or a "
        "subset is.",
        ("KIA1101", "KIA1102", "KIA1107"),
    ),
    Code(
        "IST0102",
        "NamespaceNotInjected",
        "warning",
        "Pods of a namespace without the label get no sidecar: Istio sees nothing of what they "
        "send.",
    ),
    Code(
        "IST0103",
        "PodMissingProxy",
        "warning",
        "A sidecar is added when a pod is made. Pods that were there before the namespace got "
        "its label have none: "
        "no rule acts on the requests that they send.",
    ),
    Code(
        "IST0106",
        "SchemaValidationError",
        "error",
        "The API server refuses the object, so whatever was there before stays in force.",
    ),
    Code(
        "IST0109",
        "ConflictingMeshGatewayVirtualServiceHosts",
        "error",
        "Sidecars take one VirtualService for a host and ignore all others.",
        ("KIA1106",),
    ),
    Code(
        "IST0112",
        "VirtualServiceDestinationPortSelectorRequired",
        "error",
        "With several ports Istio can't know which one is meant, and the route leads nowhere.",
    ),
    Code(
        "IST0118",
        "PortNameIsNotUnderNamingConvention",
        "warning",
        "The name tells the protocol, up to its first dash. Without it each sidecar has to guess "
        "from the first bytes "
        "of each connection. After a wrong guess, or where the server speaks first, no route and "
        "no retry applies, or "
        "requests end with 503.",
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
        "A gateway serves only hosts that both objects name: requests get 404.",
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
        "of their "
        "VirtualServices are put one behind the other, the older one's first: what it takes "
        "never reaches the other's.",
        ("KIA0301",),
    ),
    Code(
        "IST0162",
        "GatewayPortNotDefinedOnService",
        "warning",
        "The gateway's Service does not lead to this port, so nobody outside of the cluster can "
        "call it.",
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
        "A rule for a host that does not exist is accepted and ignored in silence.",
        ("KIA0202",),
    ),
    Code(
        "KIA0201",
        "MoreThanOneDestinationRule",
        "warning",
        "For one host Istio obeys the older rule's trafficPolicy, and the first definition of a "
        "subset. The other one "
        "is ignored in silence.",
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
        "Weights share out the requests of one route among its destinations. The only "
        "destination of a route gets "
        "all of them, whatever its weight says.",
    ),
    Code(
        "KIA1105",
        "DestinationTwice",
        "warning",
        "The same host and subset twice in one route: their weights add up, which is hardly what "
        "was meant.",
    ),
    Code(
        "KIA1106",
        "MoreThanOneVirtualService",
        "warning",
        "At a gateway the routes of both are put one behind the other, the older one's first; "
        "the order between them "
        "is nobody's promise.",
    ),
    Code(
        "LAB01",
        "NotAnObject",
        "error",
        "What can't be read can't be applied: kubectl refuses the whole document, and what was "
        "there stays in force.",
    ),
    Code(
        "LAB02",
        "NotLinted",
        "info",
        "This kind is not looked at, so nothing found here does not mean that nothing is wrong.",
    ),
    Code(
        "LAB03",
        "NamespaceNotWritten",
        "warning",
        "Without metadata.namespace the object lands wherever kubectl points at that moment, "
        "most often in `default`, "
        "and short host names in it then mean Services of that namespace.",
    ),
    Code(
        "LAB04",
        "GatewayPortIsTargetPort",
        "warning",
        "A Gateway names ports of the gateway's Service (80). The port of its pod (8080) happens "
        "to work, since both "
        "end up in the same listener, but nobody can call the number that is written there.",
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
        "A prefix is compared letter by letter, not part by part of the path; and a rewrite "
        "replaces just the letters "
        "that matched.",
    ),
    Code(
        "LAB07",
        "EjectionImpossible",
        "warning",
        "Envoy ejects a pod only while the share of ejected pods stays within "
        "maxEjectionPercent, which is 10 where it "
        "is not written. Of few pods, one is already more; and each subset counts its own pods "
        "alone.",
    ),
    Code(
        "LAB08",
        "LimitBelowPods",
        "warning",
        "Limits of a connection pool are not for each pod: each Envoy that calls counts all its "
        "connections to the "
        "service together. And as it always lets a pod have its first one, a limit below the "
        "number of pods is not "
        "even kept.",
    ),
    Code(
        "LAB09",
        "HashHeaderMayBeMissing",
        "info",
        "Requests without the header are spread as if there were no affinity, and nothing says so.",
    ),
)

CODES = {entry.code: entry for entry in _ALL}
