"""Where things are in the plain values of a DestinationRule or VirtualService. Functions of values;
none of them reads or writes YAML.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labkit.errors import ManifestError
from labkit.resources.model import Path
from labkit.resources.yaml.editing import parse_path
from labkit.ui.panels.policy.fields import HASHES

POLICY: Path = ("spec", "trafficPolicy")


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
    traffic policy of the service, or of a subset. Raises ManifestError for a subset that is not
    there.

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


def mode(policy: Any) -> str:
    """Which of `fields.MODES` a traffic policy has."""
    hashed = at(policy, ("loadBalancer", "consistentHash"))
    if isinstance(hashed, Mapping):
        return next(
            (f"consistentHash.{name}" for name in HASHES if name in hashed), "consistentHash"
        )
    return str(at(policy, ("loadBalancer", "simple")) or "")


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


def emptied(body: Any, path: Path) -> Path:
    """What to remove when a field goes: it, or the outermost part that has nothing else in it.
    `spec` stays.
    """
    while len(path) > 2 and len(at(body, path[:-1])) == 1:
        path = path[:-1]
    return path
