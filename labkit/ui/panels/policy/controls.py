"""The controls of one object: which there are, what each shows, and what is typed into one as a
value. Functions of values; none of them reads or writes YAML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from labkit.resources.finding import written
from labkit.resources.yaml.editing import parse_path
from labkit.ui.panels.policy import fields
from labkit.ui.panels.policy.fields import MODE, Field, Group
from labkit.ui.panels.policy.paths import POLICY, at, mode, place, subset_names

_INTEGER = re.compile(r"[-+]?\d{1,18}")
_LABEL = re.compile(r"\s*([^=,\s]+)\s*=\s*([^=,\s]*)\s*")


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
            "Ejects pods that keep failing. On as soon as a field is set.",
            fields.OUTLIER,
        ),
        (
            "connectionPool",
            "Connection pool",
            "Limits on connections and requests. Beyond them: 503 at once.",
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
            note = f"In force for {subset}: it overrides everything the service sets under {name}."
        elif subset and at(service, (name,)) is not None:
            note = f"Not set here: the service's {name} is in force for {subset}."
        found.append(Group(name, title, about, controls, note, open=here or name == "loadBalancer"))
    if not subset:
        names = subset_names(body)
        inside = tuple(
            field for number, name in enumerate(names) for field in fields.subset(number, name)
        )
        about = (
            "Groups of pods, selected by labels. Each can have a policy of its own: "
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
            fields.weight(number, index, destination(target))
            for index, target in enumerate(targets)
        )
        title = f"Weights of route {number + 1}" + (f": {matched(route)}" if matched(route) else "")
        found.append(
            Group(
                f"http{number}",
                title,
                "How the requests of this route are split.",
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


def where(field: Field, body: Any, subset: str) -> str:
    """The path of a control as findings write it."""
    return written(place(body, field.path, subset))


def values(body: Any, groups: Iterable[Group], subset: str) -> dict[str, str]:
    """What each control shows, by its path."""
    found = {}
    for field in (field for group in groups for field in group.fields):
        path = place(body, field.path, subset)
        found[field.path] = (
            mode(at(body, path[:-1])) if field.path == MODE else shown(at(body, path), field)
        )
    return found
