"""The access log is read as it grows, line by whole line."""

from __future__ import annotations

from pathlib import Path

from labkit.envoy import AccessLog


def test_a_log_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    assert AccessLog(tmp_path / "none.log").read() == []


def test_half_a_line_waits_for_its_other_half(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log = AccessLog(path)
    path.write_text('{"status":200}\n{"sta')
    assert log.read() == [{"status": 200}]
    with path.open("a") as file:
        file.write('tus":503}\n')
    assert log.read() == [{"status": 200}, {"status": 503}]
    assert log.since(1) == [{"status": 503}]
