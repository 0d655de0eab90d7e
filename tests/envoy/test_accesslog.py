"""The access log is read as it grows, line by whole line."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
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


def test_entries_are_found_by_the_id_of_their_request(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text(
        "".join(f'{{"lab":"{lab}","n":{n}}}\n' for n, lab in enumerate("abab")) + '{"lab":null}\n'
    )
    log = AccessLog(path)
    assert [entry["n"] for entry in log.of("a")] == [0, 2]
    assert log.last_of(["b", "c"]) == {"b": {"lab": "b", "n": 3}}


def test_the_oldest_entries_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text("".join(f'{{"lab":"{"ab"[n > 2]}","n":{n}}}\n' for n in range(6)))
    log = AccessLog(path, kept=3)
    assert [entry["n"] for entry in log.read()] == [3, 4, 5]
    assert (log.of("a"), len(log.of("b"))) == ([], 3)


def test_threads_that_read_at_the_same_time_lose_and_double_nothing(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log, n = AccessLog(path), 20_000
    written = threading.Event()

    def read() -> None:
        while not written.is_set():
            log.read()

    with ThreadPoolExecutor(3) as readers:
        done = [readers.submit(read) for _ in range(3)]
        with path.open("a") as file:
            file.writelines(f'{{"n":{number}}}\n' for number in range(n))
        written.set()
    for one in done:
        one.result()
    assert [entry["n"] for entry in log.read()] == list(range(n))
