"""A mesh that the tests of a module share, put right before each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import labkit
from labkit.mesh import Mesh
from tests.mesh.conftest import CLIENT, GATEWAY, HELLO, ROUTE


@pytest.fixture(scope="module")
def shared_mesh() -> Iterator[Mesh]:
    with labkit.open_mesh("embedded") as mesh:
        mesh.apply(HELLO, CLIENT, GATEWAY, ROUTE)
        yield mesh


@pytest.fixture
def mesh(shared_mesh: Mesh) -> Mesh:
    shared_mesh.reset()
    shared_mesh.apply(HELLO, GATEWAY, ROUTE)
    return shared_mesh
