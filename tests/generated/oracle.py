"""istiod's own translation as a program, beside what labkit makes of the same objects.

`LABKIT_ISTIOD_OFFLINE` names the folder of the program: `build` there makes it, `offline.py` asks
it, and `../reference/whole.py` beside it says what counts in a configuration. Without the variable
it is looked for in `../shared/istiod`, beside the project.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from labkit.cli.manifests.translate import config_dump
from labkit.errors import LabkitError
from labkit.resources import load
from labkit.resources.istio import EXPORT_TO, service_host
from labkit.translate import gateway_config, registry_of, sidecar_config
from labkit.translate.services.service import NOBODY

VARIABLE = "LABKIT_ISTIOD_OFFLINE"
FOLDER = Path(os.environ.get(VARIABLE) or Path(__file__).parents[3] / "shared" / "istiod")

Object = dict[str, Any]
KEPT = ("apiVersion", "kind", "name", "namespace", "metadata", "selector", "template")
"""Fields without which an object is another one, or its pods' ports have no names."""


@cache
def offline() -> Any:
    """The module that asks istiod's program."""
    spec = importlib.util.spec_from_file_location("offline", FOLDER / "offline.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(FOLDER.parent / "reference"))  # for its own imports
    spec.loader.exec_module(module)
    return module


def placed(objects: list[Object]) -> list[Object]:
    """The objects as an API server would have them: created a second apart, in their order (Istio
    goes by age), and each Service with an address.
    """
    found = copy.deepcopy(objects)
    for number, each in enumerate(found):
        time = f"2026-01-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"
        each["metadata"]["creationTimestamp"] = time
        if each["kind"] == "Service":
            each["spec"].setdefault("clusterIP", f"10.96.100.{number}")
    return found


def translated(objects: list[Object]) -> dict[str, Any]:
    """The config_dump of every proxy, by its name: the gateway, and a sidecar of each Deployment
    whose pods have one.
    """
    registry = registry_of(load(objects))
    found = {"gateway": config_dump(gateway_config(registry), registry)}
    for pod in registry.pods:
        name = f"sidecar:{pod.namespace}/{pod.workload}"
        if pod.injected and name not in found:
            found[name] = config_dump(sidecar_config(registry, pod), registry)
    return found


def by_proxy(program: Any, objects: list[Object]) -> dict[str, list[str]]:
    """Where istiod and labkit do not agree, for each proxy. Raises what labkit raises: of what it
    refuses, nothing is compared.
    """
    objects = placed(objects)
    ours = translated(objects)
    theirs = program.ask(objects, list(ours))
    open_ends = chance(objects)
    return {
        proxy: list(
            offline().differences(
                without(counting(theirs[proxy]), open_ends),
                without(counting(ours[proxy]), open_ends),
            )
        )
        for proxy in ours
    }


def chance(objects: list[Object]) -> set[str]:
    """The hosts whose endpoints are a matter of chance in istiod: of a Service that is exported to
    nobody it keeps the endpoints that are there when the Service comes, and takes none that come
    later (`serviceNeedsPush` in `serviceregistry/kube/controller/endpointslice.go`). Its program
    gave both answers to one input. labkit gives none: on a cluster endpoints come later.
    """
    return {
        service_host(each["metadata"]["name"], each["metadata"]["namespace"])
        for each in objects
        if each["kind"] == "Service"
        and NOBODY in str((each["metadata"].get("annotations") or {}).get(EXPORT_TO) or "")
    }


def without(found: Any, hosts: set[str]) -> Any:
    """What counts in a dump, but for the endpoints of these hosts."""
    ends = {k: v for k, v in found["endpoints"].items() if k.rpartition("|")[2] not in hosts}
    return {**found, "endpoints": ends}


def differences(program: Any, objects: list[Object]) -> list[str]:
    """The same as one list, each difference with its proxy."""
    found = by_proxy(program, objects)
    return [f"{proxy} {each}" for proxy, several in found.items() for each in several]


def counting(dump: Any, pods: Mapping[str, str] | None = None) -> Any:
    """What counts in a dump; `pods` are the workloads by address, where endpoints do not tell.
    Istio keeps no order of query parameters: a map of Go's.
    """
    found = offline().normalise(dump, pods)
    for hosts in found["routes"].values():
        for route in (route for host in hosts for route in host.get("routes", ())):
            route.get("match", {}).get("query_parameters", []).sort(key=lambda each: each["name"])
    return found


def smallest(objects: list[Object], fails: Callable[[list[Object]], bool], tries: int) -> Any:
    """A part of the objects that still fails, of which nothing can be left out; at most so many
    tries.
    """
    left = tries
    while True:
        for candidate in smaller(objects):
            left -= 1
            if left < 0:
                return objects
            if fails(candidate):
                objects = candidate
                break
        else:
            return objects


def smaller(value: Any) -> Iterator[Any]:
    """The value with one part of it left out, the largest parts first."""
    keys = list(value) if isinstance(value, dict) else range(len(value) - 1, -1, -1)
    keys = [key for key in keys if key not in KEPT]
    for key in keys:
        found = copy.copy(value)
        del found[key]
        yield found
    for key in keys:
        if isinstance(value[key], (dict, list)):
            for inner in smaller(value[key]):
                found = copy.copy(value)
                found[key] = inner
                yield found


def differs(program: Any, known: str) -> Callable[[list[Object]], bool]:
    """Whether a candidate is valid and has a difference like the one that is known: in the same
    part of a proxy of the same sort.
    """

    def part(difference: str) -> str:
        proxy, _, path = difference.partition(" ")
        return f"{proxy.partition(':')[0]} {path.split('/')[1]}"

    def answer(candidate: list[Object]) -> bool:
        try:
            return part(known) in map(part, differences(program, candidate))
        except (LabkitError, ValueError, KeyError):  # no objects that somebody could have applied
            return False

    return answer


def as_text(objects: list[Object]) -> str:
    return "\n".join(json.dumps(each) for each in objects)
