"""The controls of the PolicyPanel: which fields of Istio's objects have one, in plain words, with
units and defaults.

A control is described here and nowhere else. What it shows and what it changes is the YAML (see
`text`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Kind = Literal["number", "percent", "text", "choice", "labels"]

MODE = "loadBalancer"
"""The control that chooses among `loadBalancer`'s alternatives; its values are those of MODES."""

HASHES = {
    "httpHeaderName": "x-user",
    "httpCookie": {"name": "user", "ttl": "3600s"},
    "useSourceIp": True,
    "httpQueryParameterName": "user",
}
"""What a consistent hash can be made of, with what is written when it is chosen."""

MODES = (
    ("", "not set: LEAST_REQUEST, Istio's default"),
    ("ROUND_ROBIN", "each in turn: ROUND_ROBIN"),
    ("LEAST_REQUEST", "the less busy of two: LEAST_REQUEST"),
    ("RANDOM", "at random: RANDOM"),
    ("PASSTHROUGH", "the address that the client asked for: PASSTHROUGH"),
    ("consistentHash.httpHeaderName", "same header, same pod: consistentHash"),
    ("consistentHash.httpCookie", "same cookie, same pod: consistentHash"),
    ("consistentHash.useSourceIp", "same client address, same pod: consistentHash"),
    ("consistentHash.httpQueryParameterName", "same query parameter, same pod: consistentHash"),
)


@dataclass(frozen=True)
class Field:
    """One control. `path` is below a traffic policy (or absolute, from `spec`); empty means: not in
    the YAML.
    """

    path: str
    label: str
    help: str
    kind: Kind = "text"
    unit: str = ""
    default: str = ""
    """What is in force while the field is not set."""
    choices: tuple[tuple[str, str], ...] = ()
    remove: str = ""
    """The path of what a button beside it removes."""

    @property
    def name(self) -> str:
        """Istio's own name, shown beside the plain words."""
        if self.path.startswith("spec."):
            return self.path.rpartition(".")[2]
        first, _, rest = self.path.partition(".")
        return rest.removeprefix("consistentHash.") or first


@dataclass(frozen=True)
class Group:
    """Controls that belong together."""

    id: str
    title: str
    help: str
    fields: tuple[Field, ...]
    note: str = ""
    open: bool = False
    add: str = ""
    """The words on the button that adds one more, where there can be more."""

    def as_dict(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "fields": [{**asdict(each), "name": each.name} for each in self.fields],
        }


BALANCING = Field(
    MODE,
    "Which pod gets the request",
    "How the caller's Envoy picks one of the pods.",
    kind="choice",
    choices=MODES,
)
OF_HASH = {
    "httpHeaderName": (
        Field(
            "loadBalancer.consistentHash.httpHeaderName",
            "Header",
            "Requests with the same value of this header go to the same pod.",
        ),
    ),
    "httpCookie": (
        Field(
            "loadBalancer.consistentHash.httpCookie.name",
            "Cookie name",
            "Requests with the same value of this cookie go to the same pod.",
        ),
        Field(
            "loadBalancer.consistentHash.httpCookie.ttl",
            "Cookie lifetime",
            "Envoy sets the cookie for clients that have none. 0s: until the browser closes.",
            unit="duration: 30s, 1h",
        ),
    ),
    "useSourceIp": (),
    "httpQueryParameterName": (
        Field(
            "loadBalancer.consistentHash.httpQueryParameterName",
            "Query parameter",
            "Requests with the same value of it (?user=ann) go to the same pod.",
        ),
    ),
}

OUTLIER = (
    Field(
        "outlierDetection.consecutive5xxErrors",
        "Consecutive 5xx errors",
        "A pod that answers with this many 5xx in a row is ejected. 0: never.",
        kind="number",
        unit="errors",
        default="5",
    ),
    Field(
        "outlierDetection.consecutiveGatewayErrors",
        "Consecutive gateway errors",
        "The same, but only 502, 503 and 504 count.",
        kind="number",
        unit="errors",
        default="off",
    ),
    Field(
        "outlierDetection.interval",
        "Sweep interval",
        "Pods whose ejection time is over come back at one of these sweeps.",
        unit="duration: 500ms, 10s",
        default="10s",
    ),
    Field(
        "outlierDetection.baseEjectionTime",
        "Ejection time",
        "For the first ejection. The second takes twice as long, and so on.",
        unit="duration: 2s, 1m",
        default="30s",
    ),
    Field(
        "outlierDetection.maxEjectionPercent",
        "Max ejected at once",
        "At most this share of the pods is ejected at any time.",
        kind="percent",
        unit="%",
        default="10",
    ),
    Field(
        "outlierDetection.minHealthPercent",
        "Min healthy",
        "With a smaller share of healthy pods, outlier detection is off and all pods get requests.",
        kind="percent",
        unit="%",
        default="0",
    ),
)

POOL = (
    Field(
        "connectionPool.tcp.maxConnections",
        "Max connections",
        "From one Envoy to all pods of the service together.",
        kind="number",
        unit="connections",
        default="no limit",
    ),
    Field(
        "connectionPool.http.http1MaxPendingRequests",
        "Max pending requests",
        "Waiting for a free connection. One more is refused at once, with a 503.",
        kind="number",
        unit="requests",
        default="no limit",
    ),
    Field(
        "connectionPool.http.http2MaxRequests",
        "Max concurrent requests",
        "On all connections together.",
        kind="number",
        unit="requests",
        default="no limit",
    ),
    Field(
        "connectionPool.http.maxRequestsPerConnection",
        "Max requests per connection",
        "After that it is closed. 1 turns keep-alive off.",
        kind="number",
        unit="requests",
        default="no limit",
    ),
    Field(
        "connectionPool.http.maxRetries",
        "Max concurrent retries",
        "To all pods of the service together.",
        kind="number",
        unit="retries",
        default="no limit",
    ),
    Field(
        "connectionPool.tcp.connectTimeout",
        "Connect timeout",
        "A pod that has not accepted the connection by then counts as failed.",
        unit="duration: 500ms, 10s",
        default="10s",
    ),
    Field(
        "connectionPool.http.idleTimeout",
        "Idle timeout",
        "A connection without requests for this long is closed.",
        unit="duration: 30s, 1h",
        default="1h",
    ),
)


def balancing(mode: str, subset: str = "") -> tuple[Field, ...]:
    """The controls of load balancing in a mode: affinity has some of its own.

    >>> [field.label for field in balancing("consistentHash.httpCookie")]
    ['Which pod gets the request', 'Cookie name', 'Cookie lifetime']
    """
    extra = () if any(mode == value for value, _ in MODES) else ((mode, f"as written: {mode}"),)
    modes = (("", "not set: as for the whole service"), *MODES[1:]) if subset else MODES
    choice = replace(BALANCING, choices=(*modes, *extra))
    return (choice, *OF_HASH.get(mode.removeprefix("consistentHash."), ()))


def subset(number: int, name: str) -> tuple[Field, ...]:
    """The controls of one subset: its name and the labels of its pods."""
    return (
        Field(
            f"spec.subsets[{number}].name",
            f"Subset {number + 1}: name",
            "Routes refer to it by this name.",
            remove=f"spec.subsets[{number}]",
        ),
        Field(
            f"spec.subsets[{number}].labels",
            f"Subset {number + 1}: labels",
            "Pods with these labels belong to it.",
            kind="labels",
            unit="label=value",
        ),
    )


def weight(route: int, number: int, destination: str) -> Field:
    """The control of one destination's share."""
    return Field(
        f"spec.http[{route}].route[{number}].weight",
        f"To {destination}",
        "Its share of the requests. Two weights move together, so that they add up to 100 %.",
        kind="percent",
        unit="%",
        default="0",
    )
