"""Stand-ins for the programs that a set-up calls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.setup.standin import StandIns


@pytest.fixture
def standins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIns]:
    """Programs on the PATH that replay what was recorded; a call that nobody expected fails the
    test.
    """
    folder = tmp_path / "bin"
    folder.mkdir()
    found = StandIns(folder, monkeypatch)
    yield found
    assert found.unexpected() == []
