"""The built-in load generator beside the real Fortio: requests a second, and the share of 503 that
a breaker gives.

Fortio is the one on PATH, or is built with Go for the occasion. Both take turns, so that a busy
machine slows both.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, median, stdev

from labkit.traffic import Target, fortio
from labkit.traffic.programs.fortio import find_fortio
from tests.traffic.harness import Y7, run_envoy, run_pod
from tests.traffic.shares import detectable_difference, permutation_p_value

PAIRS = 9
SECONDS = 2
RUNS = 30


@contextlib.contextmanager
def fortio_program() -> Iterator[str | None]:
    found = find_fortio()
    if found is not None:
        yield found[0]
        return
    go = shutil.which("go")
    if go is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "GOBIN": folder}
        subprocess.run(
            [go, "install", "fortio.org/fortio@v1.68.0"], env=env, check=True, capture_output=True
        )
        yield str(Path(folder) / "fortio")


def real(program: str, target: Target, path: str, *options: str) -> dict[str, object]:
    """Fortio without its access log, which would slow it down."""
    command = [
        program,
        "load",
        "-quiet",
        "-loglevel",
        "Error",
        "-json",
        "-",
        "-c",
        "4",
        "-qps",
        "0",
        *options,
    ]
    url = f"http://{target.host}:{target.port}{path}"
    done = subprocess.run([*command, url], check=True, capture_output=True, text=True)
    result: dict[str, object] = json.loads(done.stdout)
    return result


def throughput(program: str) -> None:
    ours, theirs = [], []
    with run_pod() as pod, run_envoy([pod]) as proxy:
        for _ in range(PAIRS):
            result = fortio(
                proxy.target, "/direct", connections=4, duration_s=SECONDS, program="built-in"
            )
            assert set(result.codes) == {200}
            ours.append(result.qps)
            theirs.append(
                float(str(real(program, proxy.target, "/direct", "-t", f"{SECONDS}s")["ActualQPS"]))
            )
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    print(
        f"  built-in {median(ours):,.0f} requests/s, Fortio {median(theirs):,.0f} (medians, -c "
        "4, one Envoy worker)"
    )
    print(
        f"  ratio in {PAIRS} pairs: median {median(ratios):.2f}, worst {min(ratios):.2f}  "
        "(wanted: at least 0.8)"
    )


def refusals(program: str) -> None:
    ours, theirs = [], []
    with run_pod() as pod, run_envoy([pod], Y7) as proxy:
        for _ in range(RUNS):
            result = fortio(
                proxy.target, connections=4, requests=20, method="POST", program="built-in"
            )
            ours.append(result.codes.get(503, 0) / 20)
            codes = real(program, proxy.target, "/", "-n", "20", "-X", "POST")["RetCodes"]
            assert isinstance(codes, dict)
            theirs.append(codes.get("503", 0) / 20)
    spread = max(stdev(ours), stdev(theirs))
    print(
        f"  share of 503 with Y7: built-in {fmean(ours):.3f}, Fortio {fmean(theirs):.3f}, {RUNS} "
        "runs of 20 each"
    )
    print(
        "  permutation test on the difference of the means: p = "
        f"{permutation_p_value(ours, theirs):.2g}"
    )
    for alpha in (0.05, 1e-6):
        found = detectable_difference(spread, RUNS, alpha, 0.9)
        print(
            f"  at alpha {alpha:g} a difference of {found:.3f} would be found with a probability "
            "of 0.9"
        )


def run() -> None:
    print("Load generator")
    with fortio_program() as program:
        if program is None:
            print("  there is neither Fortio nor Go here: nothing to compare with")
            return
        throughput(program)
        refusals(program)


if __name__ == "__main__":
    run()
