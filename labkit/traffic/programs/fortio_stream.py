"""A real Fortio that runs in a container: by Docker, or (see mesh/cluster) in a cluster.

No files are shared with it, so its access log and then its result come on its standard output, a
request a line; the result is the JSON document after these.
"""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from threading import Event
from typing import Any, Protocol

from labkit.errors import TrafficError
from labkit.traffic.plan import Load, plan
from labkit.traffic.programs.fortio import arguments, columns_of
from labkit.traffic.progress import Throttled

IMAGE = "fortio/fortio:1.68.0"
RESULT, LOG = "-", "/dev/stdout"
LAST_WORDS = 4000


class Elsewhere(Protocol):
    """Where a Fortio runs: `start` gives what it writes, b"" while there is nothing, and ends it
    when it is left.
    """

    where: str

    def start(self, load: Load) -> AbstractContextManager[Iterator[bytes]]: ...


def run_streamed(
    elsewhere: Elsewhere,
    load: Load,
    progress: Callable[[int, int], None] | None,
    cancel: Event | None,
) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Runs it; returns its JSON result, and the columns of the requests from its access log."""
    report = Throttled(progress, plan(load).total)
    said, done = bytearray(), 0
    with elsewhere.start(load) as output:
        for part in output:
            said += part
            # each line of the access log has it, and the result does not
            done += part.count(b'"iter":')
            report(done)
            if cancel is not None and cancel.is_set():
                raise TrafficError(
                    f"The run of Fortio {elsewhere.where} was stopped: it has no result"
                )
    lines, result = parted(said.decode(errors="replace"))
    if result is None:
        raise TrafficError(
            f"Fortio {elsewhere.where} ended without a result",
            seen=said.decode(errors="replace")[-LAST_WORDS:],
            try_next='fortio(…, program="built-in")',
        )
    report(len(lines), final=True)
    return result, columns_of(lines, load)


def parted(text: str) -> tuple[list[str], dict[str, Any] | None]:
    """The lines of the access log, and the result, if there is one.

    >>> parted('{"latency": 0.001}\\n{\\n"RunType": "HTTP"\\n}\\n')
    (['{"latency": 0.001}'], {'RunType': 'HTTP'})
    """
    lines = text.splitlines()
    if "{" not in lines:
        return lines, None
    begins = lines.index("{")
    try:
        return lines[:begins], json.loads("\n".join(lines[begins:]))
    except ValueError:  # it was cut off
        return lines[:begins], None


class Docker:
    """`docker run --network host fortio/fortio load …`, as the article has it."""

    where = "in Docker"

    def __init__(self, docker: str | None = None, platform: str = sys.platform) -> None:
        found = docker or shutil.which("docker")
        if found is None:
            raise TrafficError(
                "There is no docker on PATH", try_next='fortio(…, program="built-in")'
            )
        self.docker, self.platform = found, platform

    def command(self, load: Load, name: str) -> list[str]:
        """The command line. On a Mac and on Windows containers run in a machine of their own, and
        the loopback address of yours has another name there.

        >>> " ".join(Docker().command(load, "labkit-fortio"))
        'docker run --rm --name labkit-fortio --network host fortio/fortio:1.68.0 load -quiet …'
        """
        own = [self.docker, "run", "--rm", "--name", name]
        if self.platform == "linux":
            own += ["--network", "host"]
        elif load.host in ("127.0.0.1", "localhost"):
            load = replace(load, host="host.docker.internal")
        _, *words = arguments("fortio", load, RESULT, LOG)
        return [*own, IMAGE, *words]

    @contextmanager
    def start(self, load: Load) -> Iterator[Iterator[bytes]]:
        name = f"labkit-fortio-{secrets.token_hex(4)}"
        process = subprocess.Popen(
            self.command(load, name),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        written = process.stdout
        assert written is not None

        def output() -> Iterator[bytes]:
            yield from written
            process.wait()

        try:
            yield output()
        finally:
            # stopped half-way: the container does not end with the command
            if process.poll() is None:
                subprocess.run(
                    [self.docker, "rm", "--force", name],
                    capture_output=True,
                    timeout=30,
                    check=False,
                )
                process.kill()
            written.close()
            process.wait()
