"""What `labkit lab` adds to the surroundings of JupyterLab and its kernels."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import pytest

from labkit.cli import lab
from labkit.lessons import wayback


def test_our_settings_come_after_a_learners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUPYTER_CONFIG_PATH", raising=False)
    monkeypatch.delenv("PYTHONSTARTUP", raising=False)
    ours = lab.environment()
    assert (Path(ours["JUPYTER_CONFIG_PATH"]) / "labconfig").is_dir()
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "theirs")
    monkeypatch.setenv("PYTHONSTARTUP", "their.py")
    both = lab.environment()
    assert both["JUPYTER_CONFIG_PATH"] == f"theirs{os.pathsep}{ours['JUPYTER_CONFIG_PATH']}"
    assert both["PYTHONSTARTUP"] == "their.py"


def test_each_kernel_begins_by_explaining_missing_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONSTARTUP", raising=False)
    asked = []
    monkeypatch.setattr(wayback, "explain_missing_names", lambda: asked.append(True))
    left = runpy.run_path(lab.environment()["PYTHONSTARTUP"])
    assert asked
    assert not {name for name in left if not name.startswith("__")}, "nothing of ours is left"
