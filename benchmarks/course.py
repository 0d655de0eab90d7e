"""Memory of the course as a learner has it: JupyterLab, a kernel and the mesh of the largest
lesson, all together.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import psutil

from labkit.waiting import wait_until

LESSON = "12"
PORT = "18955"


def run() -> None:
    if not sys.platform.startswith("linux"):
        print("course: skipped, only Linux tells the proportional set size")
        return
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {
            "JUPYTER_CONFIG_DIR": folder,
            "LABKIT_PROGRESS": f"{folder}/progress.json",
        }
        lab = [sys.executable, "-m", "labkit", "lab", "--no-browser", "--port", PORT]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": env}
        jupyter = subprocess.Popen(lab, **quiet)  # type: ignore[call-overload]
        try:
            wait_until(lambda: listens(jupyter.pid), 60, "JupyterLab to listen", longest_s=0.5)
            lesson = subprocess.Popen([sys.executable, "-m", "labkit", "run", LESSON], **quiet)  # type: ignore[call-overload]
            # the runner stands in for the browser: it is counted too, though a learner has none
            highest = 0

            def ended() -> bool:
                nonlocal highest
                highest = max(highest, memory([jupyter.pid, lesson.pid]))
                return lesson.poll() is not None

            wait_until(ended, 120, "the lesson to end", first_s=0.2, longest_s=0.2)
        finally:
            jupyter.terminate()
            jupyter.wait()
    print(f"course: JupyterLab with lesson {LESSON} at its largest, proportional set size")
    print(f"  {highest / 1e6:.0f} MB (wanted: 1000)")


def listens(pid: int) -> bool:
    found = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return any(c.status == psutil.CONN_LISTEN for p in found for c in p.net_connections(kind="tcp"))


def memory(pids: list[int]) -> int:
    """Bytes of all these processes and their descendants."""
    total = 0
    for pid in pids:
        try:
            for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
                total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # it ended while we looked
    return total


if __name__ == "__main__":
    run()
