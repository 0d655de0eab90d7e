"""An Envoy's access log: what each line has, and reading it while it grows."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.jsontypes import Json

if TYPE_CHECKING:
    import pandas as pd

Entry = dict[str, Any]

# the fields of an entry, each with Envoy's word for it; an entry is one JSON object a line
ACCESS_LOG_FORMAT = {
    "start": "%START_TIME(%s.%9f)%",
    "lab": "%REQ(X-LABKIT-ID)%",
    "method": "%REQ(:METHOD)%",
    "authority": "%REQ(:AUTHORITY)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "duration_ms": "%DURATION%",
    "route": "%ROUTE_NAME%",
    "cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream": "%UPSTREAM_HOST%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "pod": "%RESP(X-POD)%",
    "version": "%RESP(X-VERSION)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
}

DIRECTION = "direction"
"""One more field: the direction of the listener that the request came to."""


def file_access_log(path: str, *, direction: str, **fields: str) -> Json:
    """The message that makes a HTTP connection manager write this log to a file; the listener's
    direction and `fields` come beside those of ACCESS_LOG_FORMAT.
    """
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": {"json_format": {**ACCESS_LOG_FORMAT, **fields, DIRECTION: direction}},
        },
    }


KEPT = 100_000
"""Entries kept in memory, some 100 MB at most: a steady stream may run for hours. The file has all
of them.
"""


class AccessLog:
    """The last entries of one access log (a JSON object a line), as they come. Any thread may read.

    >>> log = AccessLog(folder / "access.log")
    >>> log.read()[-1]["status"]
    200
    """

    def __init__(self, path: Path, *, kept: int = KEPT) -> None:
        self.path = path
        self.kept = kept
        self.lock = threading.Lock()  # a panel's thread and a cell may ask at the same time
        self.offset = 0
        self.entries: deque[Entry] = deque()
        self.by_lab: dict[str, deque[Entry]] = {}

    def read(self) -> list[Entry]:
        """The entries so far. Envoy writes entries in batches (20 ms), so the last ones may still
        be under way.
        """
        with self.lock:
            self.take_in()
            return list(self.entries)

    def of(self, lab: str) -> list[Entry]:
        """The entries so far of the requests that carried this value in the
        header `x-labkit-id`.
        """
        with self.lock:
            self.take_in()
            return list(self.by_lab.get(lab, ()))

    def last_of(self, labs: Iterable[str]) -> dict[str, Entry]:
        """The last entry of each of these values, as far as there is one by now."""
        with self.lock:
            self.take_in()
            return {lab: self.by_lab[lab][-1] for lab in labs if lab in self.by_lab}

    def take_in(self) -> None:
        """Reads what has been written since the last time; called under the lock."""
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                text = file.read()
        except FileNotFoundError:
            return
        whole = text.rfind(b"\n") + 1  # a batch may be cut in the middle of a line
        entries = filter(None, map(entry_of, text[:whole].splitlines()))
        self.offset += whole
        for entry in entries:
            self.entries.append(entry)
            self.by_lab.setdefault(str(entry.get("lab")), deque()).append(entry)
        while len(self.entries) > self.kept:
            lab = str(self.entries.popleft().get("lab"))
            self.by_lab[lab].popleft()  # both are in the order of the file
            if not self.by_lab[lab]:
                del self.by_lab[lab]


def entry_of(line: bytes) -> Entry | None:
    """The entry of a line; None where it is none: what Envoy wrote while the disk was full is torn,
    and what comes next stands in the same line.
    """
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def frame_of_log(entries: Sequence[Entry]) -> pd.DataFrame:
    """Entries as a frame, a row each; one of an empty log has the same columns."""
    import pandas as pd

    return pd.DataFrame(entries, columns=None if entries else [*ACCESS_LOG_FORMAT, DIRECTION])


def rows_of_log(entries: Iterable[Entry], run: str) -> pd.DataFrame:
    """Entries of one run as the rows of a result (see `labkit.traffic.Result`), in the order of
    their requests.
    """
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
