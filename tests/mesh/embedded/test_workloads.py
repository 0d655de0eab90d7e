"""What a Deployment wants next, as pure decisions."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.mesh.embedded.workloads import limits, next_step, template_hash

NEW = {"metadata": {"labels": {"v": "new"}}}
OLD = {"metadata": {"labels": {"v": "old"}}}


@dataclass
class Pod:
    name: str
    template_hash: str
    ready: bool = True


def pods(old: int, new: int, *, new_ready: bool = True) -> list[Pod]:
    return [Pod(f"old{i}", template_hash(OLD)) for i in range(old)] + [
        Pod(f"new{i}", template_hash(NEW), new_ready) for i in range(new)
    ]


@pytest.mark.parametrize(
    ("there", "replicas", "create", "end"),
    [
        (pods(0, 0), 3, 3, 0),  # from nothing
        (pods(0, 2), 3, 1, 0),  # scaled up
        (pods(0, 3), 1, 0, 2),  # scaled down
        (pods(0, 2), 0, 0, 2),  # to nothing
        (pods(4, 0), 4, 1, 1),  # a rollout begins: one more than asked for, one fewer ready
        (pods(3, 1, new_ready=False), 4, 1, 0),  # nobody leaves until the new one is ready
        (pods(3, 1), 4, 1, 1),
        (pods(1, 4), 4, 0, 1),  # the last old one
    ],
)
def test_steps(there: list[Pod], replicas: int, create: int, end: int) -> None:
    steps = next_step({"replicas": replicas, "template": NEW}, there)
    assert (steps.create, len(steps.end)) == (create, end)


def test_recreate_ends_all_before_it_makes_any() -> None:
    spec = {"replicas": 2, "template": NEW, "strategy": {"type": "Recreate"}}
    assert next_step(spec, pods(2, 0)).create == 0
    assert len(next_step(spec, pods(2, 0)).end) == 2
    assert next_step(spec, []).create == 2


@pytest.mark.parametrize(
    ("rolling", "expected"),
    [
        ({}, (5, 3)),
        ({"maxSurge": 2, "maxUnavailable": 0}, (6, 4)),
        ({"maxSurge": 0, "maxUnavailable": "50%"}, (4, 2)),
        ({"maxSurge": 0, "maxUnavailable": 0}, (4, 3)),
    ],
)
def test_limits_are_those_of_kubernetes(
    rolling: dict[str, object], expected: tuple[int, int]
) -> None:
    assert limits({"strategy": {"rollingUpdate": rolling}}, 4) == expected


@given(
    st.integers(0, 6), st.integers(0, 6), st.integers(0, 6), st.lists(st.booleans(), max_size=12)
)
def test_a_rollout_always_ends_and_never_has_too_few(
    old: int, new: int, replicas: int, ready: list[bool]
) -> None:
    """Whatever it starts from: repeated, the plan comes to rest at the wanted pods, and ready ones
    never run short.
    """
    there = pods(old, new)
    for pod, is_ready in zip(there, ready, strict=False):
        pod.ready = is_ready
    spec = {"replicas": replicas, "template": NEW}
    _, fewest = limits(spec, replicas)
    for turn in range(60):
        ready_before = sum(p.ready for p in there)
        steps = next_step(spec, there)
        there = [p for p in there if p.name not in steps.end]
        assert sum(p.ready for p in there) >= min(fewest, ready_before)
        there += [
            Pod(f"made{turn}.{i}", template_hash(NEW), ready=False) for i in range(steps.create)
        ]
        if not steps.create and not steps.end and all(p.ready for p in there):
            break
        for pod in there:
            pod.ready = True
    assert len(there) == replicas
    assert all(p.template_hash == template_hash(NEW) for p in there)
