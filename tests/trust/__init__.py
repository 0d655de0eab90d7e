"""What the tests of faults and attacks have measured, for docs/trust.md.

`LABKIT_TRUST=1` writes it to tests/trust/measured.json; `python -m tools.trust_table` makes the
page of it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

FILE = Path(__file__).parent / "measured.json"


def measured(row: str, done: str, **numbers: float | int | str) -> None:
    """Notes what came of a fault or an attack; the largest of several values of a number counts."""
    if "LABKIT_TRUST" not in os.environ:
        return
    known = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    entry = known.setdefault(row, {"done": done, "numbers": {}})
    entry["done"] = done
    for name, value in numbers.items():
        if isinstance(value, str):
            entry["numbers"][name] = value
        else:
            entry["numbers"][name] = round(value, 3)
    FILE.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", "utf-8")
