"""Fortio in a container: its command line, and what is made of its output. A stand-in says what
Docker would.
"""

from __future__ import annotations

import json
import stat
import sys
import threading
from pathlib import Path

import pytest

from labkit.errors import TrafficError, UnsupportedError
from labkit.traffic import Target, fortio
from labkit.traffic.plan import Load
from labkit.traffic.programs.fortio_stream import Docker, parted

TARGET = Target("127.0.0.1", 18080, "test.example.com")
LINE = (
    '{{"latency":0.002,"timestamp":{at},"thread":{thread},"iter":0,"ok":{ok},"details":"{code}"}}'
)
RESULT = {
    "RunType": "HTTP",
    "Version": "1.68.0",
    "NumThreads": 4,
    "ActualQPS": 100.0,
    "ActualDuration": 40_000_000,
    "SocketCount": 4,
    "RetCodes": {"200": 3, "503": 1},
    "DurationHistogram": {
        "Count": 4,
        "Avg": 0.002,
        "Percentiles": [{"Percentile": 50, "Value": 0.002}],
    },
}
CODES = ("200", "503", "200", "200")
SAID = "\n".join(
    [
        *(
            LINE.format(at=10**18 + i, thread=i, ok="true", code=code)
            for i, code in enumerate(CODES)
        ),
        json.dumps(RESULT, indent=2),
    ]
)


class StandIn:
    """A program that writes down how it was called, says what it was told to, and may then wait."""

    def __init__(self, folder: Path) -> None:
        self.path, self.called, self.says, self.waits = (
            folder / n for n in ("docker", "called", "says", "waits")
        )
        self.says.write_text(SAID)
        self.path.write_text(
            f"""#!{sys.executable}
import json, pathlib, sys, threading
with open({str(self.called)!r}, "a") as called:
    called.write(json.dumps(sys.argv[1:]) + chr(10))
if sys.argv[1] == "run":
    print(pathlib.Path({str(self.says)!r}).read_text(), flush=True)
    if pathlib.Path({str(self.waits)!r}).exists():
        threading.Event().wait(60)
"""
        )
        self.path.chmod(self.path.stat().st_mode | stat.S_IXUSR)

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in self.called.read_text().splitlines()]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    monkeypatch.setenv("PATH", str(tmp_path))
    return StandIn(tmp_path)


pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="a script without an ending can't be run there"
)


def test_the_articles_command(docker: StandIn) -> None:
    """docker run --network host fortio/fortio load -c 4 -qps 0 -n 20 -X POST: these words, and what
    a machine reads.
    """
    fortio(TARGET, connections=4, requests=20, method="POST", program="docker")
    (call,) = docker.calls
    name = call[3]
    assert " ".join(call) == (
        f"run --rm --name {name} --network host fortio/fortio:1.68.0 load -quiet "
        "-allow-initial-errors -json - "
        "-access-log-file /dev/stdout -c 4 -qps 0 -timeout 3.000000000s -X POST -n 20 -H Host: "
        "test.example.com "
        "-H User-Agent: labkit/fortio http://127.0.0.1:18080/"
    )
    assert name.startswith("labkit-fortio-")


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_where_containers_run_in_a_machine_of_their_own(docker: StandIn, platform: str) -> None:
    words = Docker(str(docker.path), platform).command(
        Load("127.0.0.1", 80, "/", fields={"Host": "a"}), "x"
    )
    assert words[-1] == "http://host.docker.internal:80/"
    assert "--network" not in words


def test_rows_and_result(docker: StandIn) -> None:
    done: list[tuple[int, int]] = []
    result = fortio(TARGET, requests=4, program="docker", progress=lambda *at: done.append(at))
    assert result.codes == {200: 3, 503: 1}
    assert result.program == "fortio 1.68.0 in Docker"
    assert list(result.column("status")) == [200, 503, 200, 200]
    assert list(result.column("connection")) == [0, 1, 2, 3]
    assert done[-1] == (4, 4)


@pytest.mark.parametrize("says", ["docker: Error response from daemon", SAID[:-20], ""])
def test_no_result_is_said_with_its_last_words(docker: StandIn, says: str) -> None:
    docker.says.write_text(says)
    with pytest.raises(TrafficError, match="ended without a result") as caught:
        fortio(TARGET, requests=4, program="docker")
    assert says.strip() in caught.value.seen


def test_a_run_that_is_stopped_leaves_no_container(docker: StandIn) -> None:
    docker.waits.touch()
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(TrafficError, match="was stopped"):
        fortio(TARGET, requests=4, program="docker", cancel=cancel)
    started, removed = docker.calls
    assert removed == ["rm", "--force", started[3]]


def test_without_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TrafficError, match="no docker on PATH"):
        fortio(TARGET, program="docker")


def test_in_a_cluster_only_where_there_is_one() -> None:
    with pytest.raises(UnsupportedError, match="no cluster to run Fortio in"):
        fortio(TARGET, program="cluster")


def test_log_and_result_are_parted() -> None:
    lines, result = parted(SAID)
    assert len(lines) == 4
    assert result == RESULT
    assert parted("nothing") == (["nothing"], None)
