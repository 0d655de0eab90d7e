"""How much memory and how many processors there are, for a program that is about to take a large
share of them.

psutil tells what the machine has. A container or a service may be allowed less: Linux says so in
its control groups (cgroups), where each group's limit also holds for the groups inside it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

MB = 1024 * 1024
CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class Machine:
    """Memory in megabytes (2^20 bytes): all there is, and what is free now; processors; who sets
    the limit.
    """

    total_mb: int
    free_mb: int
    cpus: int
    limited_by: str = ""

    def __str__(self) -> str:
        words = (
            f"{self.free_mb} MB of {self.total_mb} MB of memory are free, {self.cpus} processors"
        )
        return words + (f" ({self.limited_by})" if self.limited_by else "")


def machine(cgroups: Path = CGROUPS, own: Path = OWN_GROUPS) -> Machine:
    """
    >>> machine()
    Machine(total_mb=15990, free_mb=11012, cpus=4, limited_by='')
    """
    memory = psutil.virtual_memory()
    total, free = memory.total // MB, memory.available // MB
    cpus = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    )
    limits = []
    for folder in groups(cgroups, own):
        limit = number(folder / "memory.max") or number(folder / "memory.limit_in_bytes")
        if limit and limit // MB < total:
            used = number(folder / "memory.current") or number(folder / "memory.usage_in_bytes")
            total, free = limit // MB, min(free, max(0, limit - used) // MB)
            limits.append("memory")
        share = processors(folder)
        if share and share < cpus:
            cpus = max(1, int(share))
            limits.append("processors")
    words = " and ".join(dict.fromkeys(limits))
    return Machine(total, free, cpus, f"a container's limit of {words}" if words else "")


def groups(cgroups: Path, own: Path) -> list[Path]:
    """The folders of this process's control groups and of those around them, the
    innermost first.
    """
    try:
        lines = own.read_text("utf-8").splitlines()
    except OSError:  # not Linux
        return []
    found = []
    for line in lines:  # 0::/user.slice/app.scope in version 2; 4:memory:/docker/1234 in version 1
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        tops = [cgroups] if not controllers else [cgroups / name for name in controllers.split(",")]
        for top in tops:
            if controllers and not {"memory", "cpu"} & set(controllers.split(",")):
                continue
            inner = top / path.lstrip("/")
            # in a container the path may be the host's, which is not to be seen here: its top is
            # the container's own
            found += [f for f in (inner, *inner.parents) if f.is_relative_to(top) and f.is_dir()]
    return list(dict.fromkeys(found))


def number(file: Path) -> int:
    """A limit in bytes; 0 where there is none."""
    try:
        text = file.read_text("utf-8").strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() else 0


def processors(folder: Path) -> float:
    """How many processors a group may use; 0 where there is no limit."""
    try:
        quota, period = (folder / "cpu.max").read_text("utf-8").split()[:2]
    except (OSError, ValueError):
        quota, period = (
            str(number(folder / "cpu.cfs_quota_us")),
            str(number(folder / "cpu.cfs_period_us")),
        )
    return (
        int(quota) / int(period)
        if quota.isdigit() and int(quota) and period.isdigit() and int(period)
        else 0.0
    )
