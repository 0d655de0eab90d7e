"""A real Minikube, where LABKIT_TEST_MINIKUBE is set; without it this suite is skipped, and says
so.

It runs as an ordinary user who may use Docker, and `sudo` without a password (for the tunnel). All
that it makes is in a profile of its own, with a kubeconfig of its own; a profile of that name is
not touched, and the suite refuses to start.

Where that Minikube can pull no images, LABKIT_TEST_ISTIOCTL_OPTIONS and LABKIT_TEST_HELM_OPTIONS
give the tools more words, an option a line (see .ci/run), and LABKIT_ISTIO_CHARTS names a folder of
charts. Figures go to build/minikube.json.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

VARIABLE = "LABKIT_TEST_MINIKUBE"
PROFILE = "labkit-test"
FIGURES = Path(__file__).resolve().parents[2] / "build" / "minikube.json"
TIMEOUT_S = 900


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("minikube")


@dataclass
class Bench:
    """Runs commands as the user of this Minikube would, and notes how long the slow ones took."""

    folder: Path
    figures: dict[str, float] = field(default_factory=dict)

    def labkit(self, *words: str, code: int = 0, figure: str = "") -> str:
        """`python -m labkit WORDS`; its output, both streams. Fails on another exit code."""
        return self.run(sys.executable, "-m", "labkit", *words, code=code, figure=figure)

    def up(self, *words: str, code: int = 0, figure: str = "") -> str:
        """`labkit up` for this profile, with the words that this machine's tools need."""
        more = [
            f"--{tool}-option={option}"
            for tool in ("istioctl", "helm")
            for option in os.environ.get(f"LABKIT_TEST_{tool.upper()}_OPTIONS", "").splitlines()
        ]
        return self.labkit("up", *PROFILE_WORDS, *more, *words, code=code, figure=figure)

    def minikube(self, *words: str) -> str:
        """`minikube WORDS` for this profile."""
        return self.run("minikube", *words, f"--profile={PROFILE}")

    def kubectl(self, *words: str) -> str:
        """`kubectl WORDS` for this profile's context."""
        return self.run("kubectl", f"--context={PROFILE}", *words)

    def run(self, *argv: str, code: int = 0, figure: str = "") -> str:
        began = time.monotonic()
        done = subprocess.run(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_S
        )
        if figure:
            self.figures[figure] = round(time.monotonic() - began, 1)
        assert done.returncode == code, f"{' '.join(argv)}: {done.returncode}\n{done.stdout}"
        return done.stdout

    @property
    def profiles(self) -> list[str]:
        """The names of every profile of this user."""
        found = json.loads(self.run("minikube", "profile", "list", "--light", "--output=json"))
        return [entry["Name"] for part in ("valid", "invalid") for entry in found.get(part) or []]


PROFILE_WORDS = ("--minikube", f"--profile={PROFILE}")


@pytest.fixture(scope="session", autouse=True)
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Afterwards nothing of this suite is left, whatever has failed."""
    if not os.environ.get(VARIABLE):
        pytest.skip(f"{VARIABLE} is not set: it says that a real Minikube may be made here")
    for program in ("minikube", "kubectl", "docker"):
        if shutil.which(program) is None:
            pytest.fail(f"{VARIABLE} is set, and there is no {program} on the PATH")
    folder = tmp_path_factory.mktemp("minikube")
    found = Bench(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(folder / "kubeconfig"))
        patch.setenv("LABKIT_STATE", str(folder / "state"))
        patch.setenv("LABKIT_PROGRESS", str(folder / "progress.json"))
        if PROFILE in found.profiles:
            pytest.fail(f"There is a Minikube profile {PROFILE} already: minikube delete -p it")
        try:
            yield found
        finally:
            if PROFILE in found.profiles:
                found.minikube("delete")
            FIGURES.parent.mkdir(exist_ok=True)
            FIGURES.write_text(json.dumps(found.figures, indent=1) + "\n", "utf-8")
