"""What more than one suite needs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_fortio(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The real Fortio, built from its published source; the test is skipped
    where there is no Go.
    """
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go to build Fortio with")
    folder = Path(tmp_path_factory.mktemp("fortio"))
    done = subprocess.run(
        [go, "install", "fortio.org/fortio@v1.68.0"],
        env={**os.environ, "GOBIN": str(folder)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"Fortio could not be built: {done.stderr[-300:]}")
    return str(folder / "fortio")
