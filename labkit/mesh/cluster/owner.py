"""Whose a run on a cluster is: a process of some machine, so that a killed run is told from one that goes on."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cache

import psutil

# labels and annotations of what a run makes
MANAGED = {"app.kubernetes.io/managed-by": "labkit"}
OWNER = "labkit.internal/owner"
MADE = "labkit.internal/made-by"


@dataclass(frozen=True)
class Owner:
    """A process: its machine, its id and when it was started; ids are given again."""

    machine: str
    process: int
    started: int

    @classmethod
    def read(cls, text: str) -> Owner | None:
        """
        >>> Owner.read("desk/4711/1795374000")
        Owner(machine='desk', process=4711, started=1795374000)
        """
        machine, _, rest = text.partition("/")
        process, _, started = rest.partition("/")
        return cls(machine, int(process), int(started)) if process.isdigit() and started.isdigit() else None

    @property
    def text(self) -> str:
        return f"{self.machine}/{self.process}/{self.started}"

    @property
    def runs(self) -> bool:
        """Whether it still may run: of another machine's processes nothing is known here, so they count as running."""
        if self.machine != platform.node():
            return True
        try:
            found = psutil.Process(self.process)
            same = abs(float(found.create_time()) - self.started) < 2
            return same and found.status() != str(psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    def __str__(self) -> str:
        return f"process {self.process} on {self.machine}"


@cache
def own() -> Owner:
    """This very process."""
    me = psutil.Process()
    return Owner(platform.node(), me.pid, round(me.create_time()))
