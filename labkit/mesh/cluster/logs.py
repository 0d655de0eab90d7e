"""Logs of containers, and the access log that labkit has proxies write among their own lines."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from labkit.errors import NotReady
from labkit.jsontypes import Json
from labkit.mesh.cluster.client.api import Api, path_of
from labkit.resources import istio
from labkit.waiting import wait_until

if TYPE_CHECKING:
    from labkit.mesh.cluster.barrier import Barrier


# a field of every line of the access log, to tell it from other lines
LABEL, LABEL_VALUE = "labkit", "access-log"
LINES = 20_000
FLUSH_S = 1.2  # Istio's Envoys write their log once a second


def read_log(api: Api, pod: Json, container: str, lines: int) -> str:
    """The last lines of a container's log."""
    path = path_of("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"]) + "/log"
    text: bytes = api.send("GET", path, accept="*/*", container=container, tailLines=lines).data
    return text.decode(errors="replace")


class ProxyLog:
    """The access log of one proxy. A gateway's is known to be complete by a request of labkit's
    own, to its marker.
    """

    def __init__(self, api: Api, pod: Json, barrier: Barrier | None) -> None:
        self.api, self.pod, self.barrier = api, pod, barrier

    def entries(self) -> list[Json]:
        """labkit's entries among the last lines of the proxy's log."""
        return entries(read_log(self.api, self.pod, istio.PROXY, LINES))

    def complete(self, enough: Callable[[list[Json]], bool] = lambda found: False) -> list[Json]:
        """Every entry of requests that have ended by now; earlier when there are `enough`.

        Envoy gathers entries for a second. A request sent now has its entry after all those, so the
        log is complete when it shows; a sidecar has no port for such a request, and its second is
        waited for.
        """
        last, began = secrets.token_hex(8), time.monotonic()
        if self.barrier is not None:
            self.barrier.knock(self.pod, last)
        found: list[Json] = []

        def there() -> bool:
            found[:] = self.entries()
            if self.barrier is None and time.monotonic() - began > FLUSH_S:
                return True
            return enough(found) or any(e.get("lab") == last for e in found)

        # a gateway that writes no such log: what there is, is all
        with contextlib.suppress(NotReady):
            wait_until(there, 2 * FLUSH_S, "the access log", first_s=0.01, longest_s=0.1)
        return [e for e in found if not str(e.get("authority", "")).endswith(".labkit.internal")]


def entries(log: str) -> list[Json]:
    """labkit's own lines of a proxy's log, parsed.

    >>> entries('[info] hello\\n{"labkit": "access-log", "status": 200}')
    [{'status': 200}]
    """
    found = []
    for line in log.splitlines():
        if line.startswith("{") and f'"{LABEL_VALUE}"' in line:
            entry = json.loads(line)
            if entry.pop(LABEL, "") == LABEL_VALUE:
                found.append(entry)
    return found
