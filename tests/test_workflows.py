"""The workflows for GitHub, as far as that can be checked without GitHub."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from labkit.cli import COMMANDS

FOLDER = Path(__file__).resolve().parents[1] / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
LABKIT = re.compile(r"\.venv/bin/python -m labkit ([^|\n]+)")


def steps(file: Path) -> list[dict[str, Any]]:
    body = yaml.safe_load(file.read_text("utf-8"))
    return [step for job in body["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda f: f.name)
def test_each_job_may_only_read_and_ends_in_time(file: Path) -> None:
    body = yaml.safe_load(file.read_text("utf-8"))
    assert body["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 90 for job in body["jobs"].values())
    assert steps(file)
    assert all(("run" in step) != ("uses" in step) for step in steps(file))


def test_what_minikube_yml_takes_from_others_is_pinned() -> None:
    """An action by its commit, a program by its version and a checksum."""
    uses = [step["uses"] for step in steps(FOLDER / "minikube.yml") if "uses" in step]
    assert len(uses) >= 3
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", one) for one in uses)
    body = yaml.safe_load((FOLDER / "minikube.yml").read_text("utf-8"))
    assert re.fullmatch(r"v\d+\.\d+\.\d+", body["env"]["MINIKUBE_VERSION"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", body["env"]["ISTIO_VERSION"])
    downloads = next(
        step["run"] for step in steps(FOLDER / "minikube.yml") if "curl" in step.get("run", "")
    )
    assert downloads.count("sha256sum --check") == 2


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda f: f.name)
def test_labkit_knows_the_words_it_is_called_with(file: Path) -> None:
    calls = [words for step in steps(file) for words in LABKIT.findall(step.get("run", ""))]
    if file.name == "minikube.yml":
        assert {shlex.split(call)[0] for call in calls} == {"doctor", "up", "run", "down"}
    for call in calls:
        name, *words = shlex.split(call.replace("${{ matrix.way }}", "helm"))
        assert name in COMMANDS
        parser = argparse.ArgumentParser()
        importlib.import_module(f"labkit.cli.{name}").configure(parser)
        parser.parse_args(words)  # exits with 2 where it does not know them
