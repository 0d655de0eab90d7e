"""What a learner may call: the same on every mesh, and nothing else shows."""

from __future__ import annotations

import inspect
import re

import pytest

from labkit.mesh import Mesh
from labkit.mesh.cluster import ClusterMesh
from labkit.mesh.embedded import EmbeddedMesh

INTERFACE = [
    *("apply", "delete", "get", "resource", "describe", "label", "scale", "restart", "objects"),
    *("reset", "lint", "history"),
    *("pods", "logs", "pod_url", "app", "control", "states"),
    *("stats", "counter", "p99_ms", "endpoints", "config", "access_log", "runtime"),
    *("curl", "fortio", "start", "explain", "gateway_url", "target", "flags"),
    *("gate", "wait_for", "close", "check_open", "backend"),
]
BACKENDS = (EmbeddedMesh, ClusterMesh)


@pytest.mark.parametrize("mesh", [Mesh, *BACKENDS])
def test_tab_completion_shows_the_interface_only(mesh: type[Mesh]) -> None:
    assert [name for name in dir(mesh) if not name.startswith("_")] == sorted(INTERFACE)


@pytest.mark.parametrize("mesh", BACKENDS)
def test_both_meshes_are_called_in_the_same_way(mesh: type[Mesh]) -> None:
    """The same parameters in the same order, with the same defaults and annotations."""
    for name in INTERFACE:
        wanted, found = getattr(Mesh, name), getattr(mesh, name)
        if callable(wanted):
            assert inspect.signature(found) == inspect.signature(wanted), name
        assert type(found) is type(wanted), name


def test_each_part_of_the_interface_says_what_it_does() -> None:
    named = [name for name in INTERFACE if name != "backend"]
    assert [name for name in named if not inspect.getdoc(getattr(Mesh, name))] == []


@pytest.mark.parametrize("mesh", BACKENDS)
def test_no_attribute_of_a_mesh_shows_either(mesh: type[Mesh]) -> None:
    """What a backend keeps is set on itself, so the class alone does not tell."""
    assert set(re.findall(r"\bself\.([a-z]\w*)[^=(\n]* = ", inspect.getsource(mesh))) == set()
