"""Whose a run on a cluster is: a process of some machine, so that a killed run is told from one
that goes on.
"""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

LINUX = sys.platform == "linux"
BOOT = Path("/proc/sys/kernel/random/boot_id")

# labels and annotations of what a run makes
MANAGED = {"app.kubernetes.io/managed-by": "labkit"}
OWNER = "labkit.internal/owner"
MADE = "labkit.internal/made-by"


@dataclass(frozen=True)
class Owner:
    """A process: its machine, its id and when it was started (see `started_at`); ids are given
    again.
    """

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
        return (
            cls(machine, int(process), int(started))
            if process.isdigit() and started.isdigit()
            else None
        )

    @property
    def text(self) -> str:
        """As it stands in annotations: MACHINE/PROCESS/STARTED."""
        return f"{self.machine}/{self.process}/{self.started}"

    @property
    def runs(self) -> bool:
        """Whether it still may run: of another machine's processes nothing is known here, so they
        count as running.
        """
        if self.machine != platform.node():
            return True
        try:
            same = abs(started_at(self.process) - self.started) < (1 if LINUX else 2)
            return same and psutil.Process(self.process).status() != str(psutil.STATUS_ZOMBIE)
        except (psutil.NoSuchProcess, ProcessLookupError, FileNotFoundError):
            return False

    def __str__(self) -> str:
        return f"process {self.process} on {self.machine}"


def started_at(process: int) -> int:
    """When a process was started, as a number that stays the same for as long as it runs.

    On Linux a time of day does not: it is reckoned from the boot, which seems to move when the
    clock is set (after a virtual machine was paused, say), and a run that goes on would look
    killed. So there it is the kernel's own count of ticks, behind a number of this boot.
    """
    if not LINUX:
        return int(psutil.Process(process).create_time())
    words = Path(f"/proc/{process}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    return int(BOOT.read_text()[:8], 16) * 10**12 + int(words[19])


@cache
def own() -> Owner:
    """This very process."""
    process = os.getpid()
    return Owner(platform.node(), process, started_at(process))
