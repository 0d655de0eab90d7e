"""Whatever is given: an answer within a second, and no exception that is no LabkitError.

A few hundred inputs in an ordinary run, the same each time. `LABKIT_GENERATED=7500` tries so many
others: each is made from a number, which a failure tells, and `LABKIT_SEED` starts at that number.
"""

from __future__ import annotations

import os
import resource
import secrets
import sys
import time
import traceback
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from tests.trust import measured

from .maker import damaged, manifests, text
from .pipeline import swallow

LONG = "LABKIT_GENERATED" in os.environ
COUNT = int(os.environ.get("LABKIT_GENERATED", "300"))
FIRST = int(os.environ.get("LABKIT_SEED", secrets.randbelow(2**40) if LONG else 0))
MAKERS = (manifests, damaged, text)
LONGEST_S = 1.0
MOST_MB = 400
SLOWEST = {"s": 0.0}


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


def trouble(make: Callable[[Random], Any], number: int) -> str:
    """What is wrong with the answer to one input; "" where nothing is."""
    source = make(Random(number))
    began = time.process_time()  # other programs on this machine are not ours to answer for
    try:
        swallow(source)
    except Exception:
        return f"{make.__name__} {number}: {traceback.format_exc(limit=-3)}"
    took = time.process_time() - began
    SLOWEST["s"] = max(SLOWEST["s"], took)
    return "" if took < LONGEST_S else f"{make.__name__} {number}: {took:.2f} s"


@pytest.mark.timeout(3600 if LONG else 120)
@pytest.mark.parametrize("make", MAKERS)
def test_whatever_is_given_is_answered(make: Callable[[Random], Any]) -> None:
    count = max(1, COUNT // len(MAKERS))
    bad = list(filter(None, (trouble(make, FIRST + each) for each in range(count))))
    assert not bad, f"{len(bad)} of {count}:\n" + "\n".join(bad[:5])
    measured(
        "generated-inputs",
        "manifests made from the schemas, right and wrong (objects and texts), and rule sets with "
        "something wrong: huge numbers, deep nesting, wrong shapes, broken YAML",
        "each a verdict or an error in words",
        inputs=len(MAKERS) * count,
        raw_exceptions=0,
        over_1_s_of_processor=0,
        slowest_s=SLOWEST["s"],
    )
