"""Whatever is given: an answer within a second, and no exception that is no LabkitError.

A few hundred inputs in an ordinary run; `LABKIT_GENERATED=7500` tries so many.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from .pipeline import swallow
from .strategies import manifests, text

COUNT = int(os.environ.get("LABKIT_GENERATED", "300"))
LONGEST_S = 1.0
MOST_MB = 400
PROFILE = settings(
    max_examples=max(1, COUNT // 2),
    deadline=None,  # measured below: the first of a kind pays for imports
    database=None,
    derandomize="LABKIT_GENERATED" not in os.environ,  # a gate says the same each time
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
    print_blob=True,
)


def peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


@pytest.fixture(scope="module", autouse=True)
def bounded() -> Any:
    """Imports and schemas first; then memory may not grow without end."""
    swallow({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "hello-world"}})
    before = peak_mb()
    yield
    assert peak_mb() - before < MOST_MB


def in_time(source: Any) -> None:
    began = time.process_time()  # other programs on this machine are not ours to answer for
    swallow(source)
    assert time.process_time() - began < LONGEST_S


@pytest.mark.timeout(3600 if COUNT > 300 else 120)
@settings(PROFILE)
@given(manifests())
def test_objects(source: list[Any]) -> None:
    in_time(source)


@pytest.mark.timeout(3600 if COUNT > 300 else 120)
@settings(PROFILE)
@given(text())
def test_texts(source: str) -> None:
    in_time(source + "\n")
