"""The app as a process of its own, and a way to speak to it in raw bytes."""

from __future__ import annotations

import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

APP = Path(__file__).parents[2] / "labkit" / "app" / "hello_world.py"


COMMAND = (sys.executable, "-E", "-s", "-S", str(APP))
"""As the embedded mesh starts it: without the site packages, but with the files beside it."""


@dataclass
class App:
    port: int
    control_port: int
    process: subprocess.Popen[str]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def talk(self, sent: bytes) -> bytes:
        """Sends the bytes on a connection of their own, and returns all that comes until the app
        closes it.
        """
        return talk(self.port, sent)

    def control(self, sent: bytes) -> bytes:
        """The same on the port of the controls."""
        return talk(self.control_port, sent)


def talk(port: int, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(sent)
        return read_all(sock)


def read_all(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(65536), b""))


def start(**env: str) -> App:
    process = subprocess.Popen(
        COMMAND,
        stdout=subprocess.PIPE,
        text=True,
        env={"PORT": "0", "CONTROL_PORT": "0", "BIND": "127.0.0.1", "POD_NAME": "pod-1", **env},
    )
    assert process.stdout is not None
    words = process.stdout.readline().split()
    assert words[:2] == ["listening", "on"]
    return App(int(words[2].rstrip(",")), int(words[5]), process)
