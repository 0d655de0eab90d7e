"""The real Fortio, where there is one on PATH.

What it can tell of a single request is in its access log: when it started, how long it took, on
which connection, and the status. Not the pod: Fortio throws the answer away. The mesh adds that
from Envoy's access log (`FortioResult.with_rows`).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from threading import Event
from typing import Any

from labkit.errors import TrafficError
from labkit.traffic.plan import Load, plan
from labkit.traffic.progress import Throttled
from labkit.traffic.result import COLUMNS
from labkit.waiting import wait_until

CANCEL_GRACE_S = 5.0


def find_fortio() -> tuple[str, str] | None:
    """The path and the version of the Fortio on PATH, or None. Another program of that name does
    not count.
    """
    path = shutil.which("fortio")
    if path is None:
        return None
    version = _version(path)
    return (path, version) if version else None


@lru_cache
def _version(path: str) -> str:
    # PyPI has a `fortio` of its own (a reader of data files): it does not answer `version` with
    # three numbers.
    try:
        done = subprocess.run(
            [path, "version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    words = done.stdout.split()
    return (
        words[0]
        if done.returncode == 0 and words and re.fullmatch(r"\d+\.\d+\.\d+.*|dev", words[0])
        else ""
    )


def arguments(path: str, load: Load, json_file: str, log_file: str) -> list[str]:
    """The command line. `-allow-initial-errors`: without it a run by time ends at the first 503 of
    the warm-up.
    """
    command = [
        path,
        "load",
        "-quiet",
        "-allow-initial-errors",
        "-json",
        json_file,
        "-access-log-file",
        log_file,
    ]
    command += [
        "-c",
        str(plan(load).connections if load.requests is not None else load.connections),
    ]
    command += ["-qps", f"{load.qps:g}", "-timeout", f"{load.timeout_s:.9f}s", "-X", load.method]
    if load.requests is not None:
        command += ["-n", str(load.requests)]
    else:
        command += ["-t", f"{plan(load).duration_s or 0:.9f}s"]
    for on, flag in (
        (load.jitter, "-jitter"),
        (load.uniform, "-uniform"),
        (not load.catch_up, "-nocatchup"),
    ):
        command += [flag] if on else []
    for name, value in load.fields.items():
        command += ["-H", f"{name}: {value}"]
    if load.body:
        command += ["-payload", load.body.decode()]
    return [*command, f"http://{load.host}:{load.port}{load.path}"]


def run_fortio(
    path: str, load: Load, progress: Callable[[int, int], None] | None, cancel: Event | None
) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Runs it; returns its JSON result, and the columns of the requests from its access log."""
    with tempfile.TemporaryDirectory(prefix="labkit-fortio-") as folder:
        json_file, log_file, words_file = (
            Path(folder) / name for name in ("result.json", "access.log", "words")
        )
        log_file.touch()
        report = Throttled(progress, plan(load).total)
        with words_file.open("wb") as words:
            process = subprocess.Popen(
                arguments(path, load, str(json_file), str(log_file)),
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=subprocess.STDOUT,
            )
            try:
                _wait(process, load, log_file, report if progress else None, cancel)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        said = words_file.read_text("utf-8", "replace")
        if not json_file.exists():
            raise TrafficError(
                f"Fortio ended with exit status {process.returncode} and no result",
                seen=said,
                try_next='fortio(…, program="built-in")',
            )
        result = json.loads(json_file.read_text("utf-8"))
        lines = log_file.read_text("utf-8").splitlines()
        report(len(lines), final=True)
    return result, columns_of(lines, load)


def _wait(
    process: subprocess.Popen[bytes],
    load: Load,
    log_file: Path,
    report: Throttled | None,
    cancel: Event | None,
) -> None:
    stopped_at = 0.0

    def over() -> bool:
        nonlocal stopped_at
        if cancel is not None and cancel.is_set() and not stopped_at:
            process.terminate() if _no_interrupt() else process.send_signal(_interrupt())
            stopped_at = time.monotonic()
        if stopped_at and time.monotonic() - stopped_at > CANCEL_GRACE_S:
            process.kill()
        if report is not None:
            with log_file.open("rb") as log:
                report(sum(chunk.count(b"\n") for chunk in iter(lambda: log.read(1 << 20), b"")))
        return process.poll() is not None

    shared = plan(load)
    slowest = (shared.total or 1) * load.timeout_s * 2 + (shared.duration_s or 0)
    if load.qps:
        slowest += shared.total / load.qps
    wait_until(over, slowest + 30, "Fortio to end", longest_s=0.05)


def _interrupt() -> int:
    import signal

    return signal.SIGINT  # Fortio ends with its result so far


def _no_interrupt() -> bool:
    import os

    return os.name == "nt"


def columns_of(lines: list[str], load: Load) -> dict[str, list[Any]]:
    """The access log as columns, in the order of the requests' start."""
    entries = sorted((json.loads(line) for line in lines), key=lambda entry: entry["timestamp"])
    columns: dict[str, list[Any]] = {name: [""] * len(entries) for name in COLUMNS}
    columns["n"] = list(range(len(entries)))
    columns["at"] = [entry["timestamp"] / 1e9 for entry in entries]
    columns["status"] = [int(entry["details"]) for entry in entries]
    columns["latency_ms"] = [entry["latency"] * 1000 for entry in entries]
    columns["connection"] = [entry["thread"] for entry in entries]
    columns["method"] = [load.method] * len(entries)
    columns["path"] = [load.path] * len(entries)
    return columns
