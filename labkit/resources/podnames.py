"""Names of pods as a picture has room for them. Tables and prints have them whole."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

POD = re.compile(r"(?P<workload>.+)-[a-z0-9]{8,10}-(?P<own>[a-z0-9]{5})")
VERSION = re.compile(r"(?P<service>.+)-(?P<version>v\d+)")
LONGEST = 42


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Each of these names as short as it is still unambiguous among them.

    Of a pod its version and its own five letters, or its Deployment where several services are
    there. Other names stay, but for the end of very long ones.

    >>> short_names(["hello-world-v1-75f85dfdc6-6h9dx", "no pod"])
    {'hello-world-v1-75f85dfdc6-6h9dx': 'v1-6h9dx', 'no pod': 'no pod'}
    """
    pods = {name: POD.fullmatch(name) for name in names}
    services = {service_of(found["workload"]) for found in pods.values() if found}
    short = {}
    for name, found in pods.items():
        short[name] = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
        if found:
            version = VERSION.fullmatch(found["workload"])
            first = version["version"] if version and len(services) == 1 else found["workload"]
            short[name] = f"{first}-{found['own']}"
    often = Counter(short.values())
    return {name: told if often[told] == 1 else name for name, told in short.items()}


def service_of(workload: str) -> str:
    found = VERSION.fullmatch(workload)
    return found["service"] if found else workload
