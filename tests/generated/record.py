"""Asks istiod's program what it makes of the inputs in `offline.yaml` and `entries.yaml` of
`tests/translate/data`, and writes it beside them.

    python -m tests.generated.record
"""

from __future__ import annotations

import json
from typing import Any

from tests.translate.test_offline import DATA, SETS, inputs

from .oracle import counting, offline, placed, translated


def recorded(program: Any, which: str = "offline") -> dict[str, Any]:
    """What counts of each proxy, by input."""
    found = {}
    for name, objects in inputs(which).items():
        given = placed(objects)
        dumps = program.ask(given, list(translated(given)))
        found[name] = {proxy: counting(dump) for proxy, dump in dumps.items()}
    return found


def as_lines(found: dict[str, Any]) -> str:
    """One line an input, so that a change of one is one line of a diff."""
    lines = (
        f"{json.dumps(name)}: {json.dumps(each, sort_keys=True, separators=(',', ':'))}"
        for name, each in found.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    for each in SETS:
        lines = as_lines(recorded(offline().Offline(), each))
        (DATA / f"{each}.json").write_text(lines, "utf-8")
