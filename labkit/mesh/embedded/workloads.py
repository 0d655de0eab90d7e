"""What Deployments want: which pods to make and which to end. Pure decisions; the mesh carries them
out.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

# Kubernetes' own alphabet for generated names: no vowels, so that no words come out
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


class PodState(Protocol):
    """What a decision needs of a pod."""

    @property
    def ready(self) -> bool: ...
    @property
    def template_hash(self) -> str: ...
    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class RolloutStep:
    """How many pods to make of the Deployment's template, and the names of those to end."""

    create: int
    end: tuple[str, ...]


def template_hash(template: Mapping[str, Any]) -> str:
    """The pod-template-hash: a short name for one pod template.

    >>> template_hash({"spec": {}}) == template_hash({"spec": {}})
    True
    """
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    return "".join(ALPHABET[b % len(ALPHABET)] for b in digest[:9])


def pod_name(owner: str, hash_: str, rng: random.Random) -> str:
    """A pod's name as a Deployment makes it.

    >>> pod_name("hello-world-v1", "75f85dfdc6", random.Random(1)).startswith("hello-world-v1-75f85dfdc6-")
    True
    """  # noqa: E501
    return f"{owner}-{hash_}-{''.join(rng.choice(ALPHABET) for _ in range(5))}"


def limits(spec: Mapping[str, Any], replicas: int) -> tuple[int, int]:
    """(most pods at once, fewest ready pods) during a rollout, by Kubernetes' rules: 25 % each way
    by default, surge rounded up, unavailable rounded down."""
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return replicas, 0
    rolling = strategy.get("rollingUpdate") or {}
    surge = share(rolling.get("maxSurge", "25%"), replicas, math.ceil)
    unavailable = share(rolling.get("maxUnavailable", "25%"), replicas, math.floor)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return replicas + surge, replicas - unavailable


def share(value: Any, of: int, rounding: Any) -> int:
    """A number of pods, or a share of them such as "25%", as a number."""
    if isinstance(value, str) and value.endswith("%"):
        return int(rounding(of * float(value[:-1]) / 100))
    return int(value)


def next_step(spec: Mapping[str, Any], pods: Sequence[PodState]) -> RolloutStep:
    """One step of a Deployment's way to what it wants; called again whenever a pod changes.

    Pods of an older template are ended as new ones become ready, so that enough are always there.
    """
    replicas = int(spec.get("replicas", 1))
    wanted = template_hash(spec.get("template") or {})
    new = [p for p in pods if p.template_hash == wanted]
    old = [p for p in pods if p.template_hash != wanted]
    if not old:
        surplus = sorted(new, key=lambda p: p.ready)[: max(0, len(new) - replicas)]
        return RolloutStep(max(0, replicas - len(new)), tuple(p.name for p in surplus))
    most, fewest = limits(spec, replicas)
    if (spec.get("strategy") or {}).get("type") == "Recreate":
        return RolloutStep(0, tuple(p.name for p in old))
    create = max(0, min(replicas - len(new), most - len(pods)))
    ready = sum(p.ready for p in pods)
    leaving: list[str] = []
    # those that are not ready go first: they help nobody
    for pod in sorted(old, key=lambda p: p.ready):
        if pod.ready:
            if ready - 1 < fewest:
                break
            ready -= 1
        leaving.append(pod.name)
    return RolloutStep(create, tuple(leaving))
