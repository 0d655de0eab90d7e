"""Asks istiod's own translation, field by field, whether it acts on it: `test_fates` holds the
table to the answers.

    python -m tests.translate.fates.record           # about fields that have no answer yet
    python -m tests.translate.fates.record --all     # about all of them: some minutes

Needs istiod's program, see `tests.generated.oracle`.
"""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

from labkit.jsontypes import Json
from labkit.translate.fates import TABLE, fate_of
from tests.generated.oracle import offline
from tests.translate.fates.worlds import Field, fields_of, variants

ACTS = Path(__file__).parents[1] / "data" / "istiod-acts.json"
PROXIES = ["gateway", "sidecar:shop/web-v1", "sidecar:shop/solo", "sidecar:other/client"]
NAMES = ("Deployment metadata.name", "Deployment metadata.namespace")
"""With another value, the proxy that is asked about is not there."""
REPEATED = ("spec.subsets[].trafficPolicy", "spec.trafficPolicy.portLevelSettings[]")


def asked() -> list[Field]:
    """The fields that are no refused ones: a policy's in one place, a pod's in a Deployment."""
    return [
        field
        for kind in TABLE
        if kind != "Pod"
        for field in fields_of(kind)
        if (row := fate_of(kind, field.path)) is not None
        and row.fate != "refused"
        and not field.path.startswith(REPEATED)
        and str(field) not in NAMES
    ]


def acts(program: Any, field: Field) -> bool:
    """Whether some proxy gets something else when the field's value changes."""
    first, second = (program.ask(as_on_a_cluster(world), PROXIES) for world in variants(field))
    return any(in_order(first[proxy]) != in_order(second[proxy]) for proxy in PROXIES)


def in_order(value: Any) -> Any:
    """A dump with its lists sorted: istiod has maps of Go's, which have no order. Nothing else is
    left out, as it is where translations are compared."""
    if isinstance(value, dict):
        return {key: in_order(each) for key, each in value.items()}
    if isinstance(value, list):
        return sorted(map(in_order, value), key=lambda each: json.dumps(each, sort_keys=True))
    return value


def as_on_a_cluster(world: list[Json]) -> list[Json]:
    """A world as the program takes it: its pods come of Deployments, and ports have a protocol."""
    found = []
    for body in copy.deepcopy(world):
        if body["kind"] == "Pod":
            template = {"metadata": body["metadata"], "spec": body["spec"]}
            names = {key: body["metadata"][key] for key in ("name", "namespace")}
            body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": names}
            body["spec"] = {"template": template}
        if body["kind"] == "Deployment":
            for container in body["spec"]["template"]["spec"]["containers"]:
                for port in container.get("ports") or []:
                    port.setdefault("protocol", "TCP")
        found.append(body)
    return found


def main() -> None:
    program = offline().Offline()
    known = {} if "--all" in sys.argv else json.loads(ACTS.read_text("utf-8"))
    found: dict[str, dict[str, bool]] = {}
    for field in asked():
        old = known.get(field.kind, {}).get(field.path)
        does = acts(program, field) if old is None else old
        found.setdefault(field.kind, {})[field.path] = does
    lines = [
        f" {json.dumps(kind)}: {{\n"
        + ",\n".join(f"  {json.dumps(path)}: {json.dumps(does)}" for path, does in paths.items())
        + "\n }"
        for kind, paths in found.items()
    ]
    ACTS.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main()
