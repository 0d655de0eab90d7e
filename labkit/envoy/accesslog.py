"""Reading an Envoy's access log while it grows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

Entry = dict[str, Any]


class AccessLog:
    """The entries of one access log (a JSON object a line), as they come.

    >>> log = AccessLog(folder / "access.log")
    >>> log.read()[-1]["status"]
    200
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self.entries: list[Entry] = []

    def read(self) -> list[Entry]:
        """Every entry so far. Envoy writes entries in batches (20 ms), so the last ones may still be under way."""
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                text = file.read()
        except FileNotFoundError:
            return self.entries
        whole = text.rfind(b"\n") + 1  # a batch may be cut in the middle of a line
        self.offset += whole
        self.entries.extend(json.loads(line) for line in text[:whole].splitlines() if line)
        return self.entries

    def since(self, count: int) -> list[Entry]:
        """The entries after the first `count`."""
        return self.read()[count:]


def rows_of_log(entries: Iterable[Entry], run: str) -> pd.DataFrame:
    """Entries of one run as the rows of a result (see `labkit.traffic.Result`), in the order of their requests."""
    import pandas as pd

    rows = sorted(entries, key=lambda e: float(e["start"]))
    return pd.DataFrame(
        {
            "n": range(len(rows)),
            "at": [float(e["start"]) for e in rows],
            "status": [int(e["status"]) for e in rows],
            "pod": [e.get("pod") or "" for e in rows],
            "version": [e.get("version") or "" for e in rows],
            "latency_ms": [float(e["duration_ms"]) for e in rows],
            "flags": [(e.get("flags") or "").replace("-", "") for e in rows],
            "method": [e["method"] for e in rows],
            "path": [e["path"] for e in rows],
            "id": run,
        }
    )
