"""What the controls of the PolicyPanel read from a learner's YAML, and how they change it: comments
and order stay.

Each function takes the text and returns a text or values; none of them keeps anything. All changes
are made by `labkit.resources.edit`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from labkit.errors import ManifestError
from labkit.resources.finding import written
from labkit.resources.model import Path
from labkit.resources.yaml.document import documents
from labkit.resources.yaml.editing import edit, parse_path
from labkit.ui.panels.policy import fields
from labkit.ui.panels.policy.fields import HASHES, Field, Group

_INTEGER = re.compile(r"[-+]?\d{1,18}")
_LABEL = re.compile(r"\s*([^=,\s]+)\s*=\s*([^=,\s]*)\s*")
POLICY: Path = ("spec", "trafficPolicy")
NAME = "your YAML"
"""What messages call the text in view."""


def bodies(text: str) -> list[Any]:
    """The values of all documents. Raises ParseError where the text is not YAML."""
    return [document.value for document in documents(text, NAME)]


def at(body: Any, path: Path) -> Any:
    """The value at a path, None where there is nothing."""
    for step in path:
        if isinstance(body, Mapping):
            body = body.get(step)
        elif isinstance(body, list) and isinstance(step, int) and step < len(body):
            body = body[step]
        else:
            return None
    return body


def subset_names(body: Any) -> list[str]:
    """The names of a DestinationRule's subsets, "" for one without."""
    found = at(body, ("spec", "subsets"))
    return [str(at(each, ("name",)) or "") for each in found] if isinstance(found, list) else []


def place(body: Any, path: str | Path, subset: str = "") -> Path:
    """The whole path of a field: one that does not begin with `spec` or `metadata` is below the
    traffic policy.

    >>> place(rule, "loadBalancer.simple")
    ('spec', 'trafficPolicy', 'loadBalancer', 'simple')
    """
    steps = parse_path(path)
    if steps[:1] in (("spec",), ("metadata",)):
        return steps
    if not subset:
        return (*POLICY, *steps)
    names = subset_names(body)
    if subset not in names:
        raise ManifestError(
            f"There is no subset {subset!r}", seen=f"subsets: {', '.join(names) or 'none'}"
        )
    return ("spec", "subsets", names.index(subset), "trafficPolicy", *steps)


def changed(text: str, path: Path, value: Any, document: int = 0) -> str:
    """The text with one field set; None removes it, and what then has nothing in it.

    Of fields that exclude each other the one that is set replaces the others.

    >>> changed("spec:\\n  trafficPolicy:\\n    loadBalancer:\\n      simple: RANDOM\\n", SIMPLE, None)
    'spec: {}\\n'
    """  # noqa: E501
    if value is None:
        return removed(text, path, document)
    text = edit(text, path, value, document=document)
    for rival in rivals(path):
        if at(bodies(text)[document], rival) is not None:
            text = edit(text, rival, None, document=document)
    return text


def removed(text: str, path: Path, document: int = 0) -> str:
    """The text without a field, and without what has nothing in it then: `spec` stays."""
    body = bodies(text)[document]
    if at(body, path[:-1]) is None or at(body, path) is None:
        return text
    while len(path) > 2 and len(at(body, path[:-1])) == 1:
        path = path[:-1]
    return edit(text, path, None, document=document)


def rivals(path: Path) -> list[Path]:
    """What can't be set beside a field: one way of balancing excludes the other, one hash the
    others.
    """
    if "loadBalancer" not in path:
        return []
    top = path[: path.index("loadBalancer") + 1]
    below = path[len(top) :]
    if below[:1] == ("simple",):
        return [(*top, "consistentHash")]
    if below[:1] == ("consistentHash",):
        others = [(*top, "consistentHash", name) for name in HASHES if name not in below[1:2]]
        return [(*top, "simple"), *(others if below[1:2] and below[1] in HASHES else [])]
    return []


def mode(policy: Any) -> str:
    """Which of `fields.MODES` a traffic policy has."""
    hashed = at(policy, ("loadBalancer", "consistentHash"))
    if isinstance(hashed, Mapping):
        return next(
            (f"consistentHash.{name}" for name in HASHES if name in hashed), "consistentHash"
        )
    return str(at(policy, ("loadBalancer", "simple")) or "")


def with_mode(text: str, policy: Path, wanted: str, document: int = 0) -> str:
    """The text with another way of choosing a pod: one of `fields.MODES`."""
    top = (*policy, "loadBalancer")
    if not wanted:
        return removed(
            removed(text, (*top, "consistentHash"), document), (*top, "simple"), document
        )
    if not wanted.startswith("consistentHash."):
        return changed(text, (*top, "simple"), wanted, document)
    name = wanted.partition(".")[2]
    if name not in HASHES:
        raise ManifestError(f"There is no hash of {name!r}", seen=f"there are: {', '.join(HASHES)}")
    found = at(bodies(text)[document], (*top, "consistentHash", name))
    return changed(text, (*top, "consistentHash", name), found or HASHES[name], document)


def parsed(written_text: str, field: Field) -> Any:
    """What was typed into a control as a value of the YAML. What makes no sense stays as it is
    typed, to be found.
    """
    words = written_text.strip()
    if not words:
        return None
    if field.kind in ("number", "percent"):
        return int(words) if _INTEGER.fullmatch(words) else words
    if field.kind == "labels":
        parts = [_LABEL.fullmatch(part) for part in words.split(",")]
        return {part[1]: part[2] for part in parts if part} if all(parts) else words
    return words


def shown(value: Any, field: Field) -> str:
    """A value of the YAML as a control shows it."""
    if value is None:
        return ""
    if field.kind == "labels" and isinstance(value, Mapping):
        return ", ".join(f"{name}={text}" for name, text in value.items())
    if isinstance(value, bool):
        return str(value).lower()
    return "" if isinstance(value, (Mapping, list)) else str(value)


def groups(body: Any, subset: str = "") -> list[Group]:
    """The controls for one object; none for a kind that has none."""
    kind = at(body, ("kind",))
    if kind == "DestinationRule":
        return of_rule(body, subset)
    return of_routes(body) if kind == "VirtualService" else []


def of_rule(body: Any, subset: str) -> list[Group]:
    policy = at(body, place(body, (), subset))
    service = at(body, POLICY)
    parts = (
        ("loadBalancer", "Load balancing and affinity", "", fields.balancing(mode(policy), subset)),
        (
            "outlierDetection",
            "Outlier detection",
            "Pods that fail leave the pool. On when a field is set.",
            fields.OUTLIER,
        ),
        (
            "connectionPool",
            "Connection pool",
            "How much may be under way. Beyond that: 503 at once.",
            fields.POOL,
        ),
    )
    found = []
    for name, title, about, controls in parts:
        here = at(policy, (name,)) is not None
        note = ""
        if subset and not here:
            controls = tuple(inherited(control, service) for control in controls)
        if subset and here:
            note = f"In force for {subset}, in place of all that the service has under {name}."
        elif subset and at(service, (name,)) is not None:
            note = f"Not set here: what the service has under {name} is in force for {subset}."
        found.append(Group(name, title, about, controls, note, open=here or name == "loadBalancer"))
    if not subset:
        names = subset_names(body)
        inside = tuple(
            field for number, name in enumerate(names) for field in fields.subset(number, name)
        )
        about = (
            "Parts of the pods, told apart by labels. Each may have a policy of its own: "
            "choose it above."
        )
        found.append(
            Group("subsets", "Subsets", about, inside, open=bool(names), add="Add a subset")
        )
    return found


def inherited(control: Field, service: Any) -> Field:
    """A control of a subset that shows, while it is empty, what it has from the service."""
    value = shown(at(service, parse_path(control.path)), control)
    return replace(control, default=value) if value else control


def of_routes(body: Any) -> list[Group]:
    routes = at(body, ("spec", "http"))
    found = []
    for number, route in enumerate(routes if isinstance(routes, list) else []):
        targets = at(route, ("route",))
        if not isinstance(targets, list) or len(targets) < 2:
            continue
        controls = tuple(
            fields.weight(number, place, destination(target))
            for place, target in enumerate(targets)
        )
        title = f"Weights of route {number + 1}" + (f": {matched(route)}" if matched(route) else "")
        found.append(
            Group(
                f"http{number}",
                title,
                "How the requests of this route are shared.",
                controls,
                open=True,
            )
        )
    return found


def destination(target: Any) -> str:
    """Where a route leads, in words: `v2 of hello-world`."""
    host, subset = (at(target, ("destination", name)) for name in ("host", "subset"))
    return f"{subset} of {host}" if subset else str(host or "?")


def matched(route: Any) -> str:
    """The condition of a route, cut short."""
    uris = [at(each, ("uri",)) for each in at(route, ("match",)) or [] if isinstance(each, Mapping)]
    return ", ".join(
        f"{how} {text}" for uri in uris if isinstance(uri, Mapping) for how, text in uri.items()
    )[:60]


def partner(body: Any, path: Path) -> Path | None:
    """The other of two weights that are 100 together, so that one may follow the other."""
    if path[:2] != ("spec", "http") or path[-1:] != ("weight",):
        return None
    targets = at(body, path[:-2])
    if not isinstance(targets, list) or len(targets) != 2:
        return None
    weights = [at(target, ("weight",)) or 0 for target in targets]
    if not all(isinstance(weight, int) for weight in weights) or sum(weights) != 100:
        return None
    return (*path[:-2], 1 - int(path[-2]), "weight")


def where(field: Field, body: Any, subset: str) -> str:
    """The path of a control as findings write it."""
    return written(place(body, field.path, subset))
