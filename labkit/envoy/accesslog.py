"""Reading an Envoy's access log while it grows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
