"""What the tests of faults and attacks have measured, for docs/trust.md.

`LABKIT_TRUST=1` writes it to tests/trust/measured.json, with the test that measured it;
`python -m tools.trust_table` makes the page of it. `LABKIT_LONG=1` asks the same tests for their
long form: more endings, more meshes, more changes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

FILE = Path(__file__).parent / "measured.json"
LONG = "LABKIT_LONG" in os.environ
WRITES = "LABKIT_TRUST" in os.environ
BEGUN: set[str] = set()  # the rows that this process has measured


def measured(row: str, done: str, seen: str, **numbers: float | int | str) -> None:
    """Notes what came of a fault or an attack: what was done, what was seen, and figures.

    `recovered_s` and `lost` have columns of their own. Where the parts of one test measure the same
    number, the largest counts. Call it in the test itself: the page is checked against the tests'
    text.
    """
    if not WRITES:
        return
    known = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    before = known[row]["numbers"] if row in BEGUN else {}
    BEGUN.add(row)
    for name, value in numbers.items():
        new = round(value, 4) if isinstance(value, float) else value
        old = before.get(name, new)
        before[name] = new if isinstance(new, str) else max(new, old)
    # "tests/trust/test_endings.py::test_it[owner-1] (call)"
    test = os.environ["PYTEST_CURRENT_TEST"].rpartition(" (")[0].partition("[")[0]
    long = LONG or "LABKIT_GENERATED" in os.environ
    load = round(os.getloadavg()[0] / (os.cpu_count() or 1), 1)  # programs that want a processor
    known[row] = {"done": done, "seen": seen, "test": test, "long": long, "numbers": before}
    known[row]["load"] = load
    FILE.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", "utf-8")
