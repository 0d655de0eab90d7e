"""`labkit lab`: JupyterLab on loopback, with its token and its protection from other pages."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from labkit.cli import lab
from labkit.waiting import wait_until
from tests.trust import measured

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/lab\S*\?token=\w+")
WEAKER = ("allow_origin", "disable_check_xsrf", "token", "password", "allow_remote", "ip=0")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab that `labkit lab` has started, with its token."""
    folder = tmp_path_factory.mktemp("jupyter")
    for part in ("course/notebooks", "course/manifests"):
        (folder / part).mkdir(parents=True)
    (folder / "course/notebooks/01_first.ipynb").write_text("{}")
    log = folder / "lab.log"
    env = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
    for name in ("CONFIG", "DATA", "RUNTIME"):
        env[f"JUPYTER_{name}_DIR"] = str(folder / name)
    words = [sys.executable, "-m", "labkit", "lab", "--no-browser", "--port", "18888"]
    env["PYTHONPATH"] = str(Path(lab.__file__).parents[2])
    with (
        log.open("wb") as out,
        subprocess.Popen(words, cwd=folder / "course", env=env, stdout=out, stderr=out) as process,
    ):
        try:
            yield wait_until(
                lambda: ADDRESS.search(log.read_text()), 60, "JupyterLab", explain=log.read_text
            ).group()
            for connection in psutil.Process(process.pid).net_connections(kind="inet"):
                if connection.status == psutil.CONN_LISTEN:
                    assert connection.laddr.ip == "127.0.0.1"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def talk(
    address: str, method: str, path: str, body: object, headers: dict[str, str]
) -> tuple[int, str, bytes]:
    """The status, the cookies and the body of an answer."""
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        cookies = [value.partition(";")[0] for value in response.msg.get_all("set-cookie", [])]
        return response.status, "; ".join(cookies), response.read()
    finally:
        connection.close()


def ask(address: str, method: str, path: str, body: object = None, **headers: str) -> int:
    return talk(address, method, path, body, headers)[0]


def logged_in(address: str) -> str:
    """The cookies of a browser in which the address with its token was opened, but for _xsrf."""
    place = urlsplit(address)
    _, cookies, _ = talk(address, "GET", f"{place.path}?{place.query}", None, {})
    return "; ".join(each for each in cookies.split("; ") if not each.startswith("_xsrf"))


def kernels(address: str) -> bytes:
    token = urlsplit(address).query.removeprefix("token=")
    return talk(address, "GET", "/api/kernels", None, {"Authorization": f"token {token}"})[2]


def test_who_has_no_token_gets_nothing(address: str) -> None:
    token = urlsplit(address).query.removeprefix("token=")
    with_token = {"Authorization": f"token {token}"}
    elsewhere = {"Origin": "http://evil.example.com", "Content-Type": "text/plain"}
    new = {"type": "file"}
    seen = {
        "read": ask(address, "GET", "/api/contents"),
        "read, wrong token": ask(address, "GET", "/api/contents?token=" + "0" * 48),
        "write": ask(address, "POST", "/api/contents", new),
        "start a kernel": ask(address, "POST", "/api/kernels", {}),
        "write, from another site": ask(address, "POST", "/api/contents", new, **elsewhere),
        "a kernel, from another site": ask(address, "POST", "/api/kernels", {}, **elsewhere),
        "another host's name": ask(
            address, "GET", "/api/contents", **with_token, Host="evil.example.com"
        ),
    }
    assert set(seen.values()) <= {403, 404}, seen
    assert ask(address, "GET", "/api/kernels", Cookie=logged_in(address)) == 200
    as_browser = {"Cookie": logged_in(address)}
    # a browser that is logged in, and a page of another site that sends a form: 404 as well
    assert ask(address, "POST", "/api/kernels", {}, **elsewhere, **as_browser) in (403, 404)
    assert ask(address, "POST", "/api/kernels", {}, **as_browser) == 403  # without the _xsrf cookie
    assert json.loads(kernels(address)) == []
    # the control: with the token, and from here, it can be done
    assert ask(address, "GET", "/api/contents", **with_token) == 200
    measured(
        "jupyterlab",
        "requests to JupyterLab without its token, with a wrong one, from another site, by another "
        "host's name",
        "403 or 404 each, also with the cookie of a browser that is logged in; it listens on "
        "loopback only",
        requests=len(seen) + 2,
        let_through=0,
    )


def weakening(words: list[str]) -> list[str]:
    """The options that would let somebody in."""
    return [word for word in words if any(weaker in word.lower() for weaker in WEAKER)]


def test_what_labkit_says_to_jupyter_weakens_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("notebooks", "manifests"):
        (tmp_path / part).mkdir()
    (tmp_path / "notebooks" / "01_a.ipynb").write_text("{}")
    monkeypatch.chdir(tmp_path)
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execve", lambda _, words, __: started.append(words))
    monkeypatch.setattr(subprocess, "call", lambda words, **_: started.append(words))
    lab.run(argparse.Namespace(port=8888, no_browser=True, jupyter=[]))
    assert "--ServerApp.ip=127.0.0.1" in started[0]
    assert weakening(started[0]) == []
    started.clear()
    more = ["--IdentityProvider.token=", "--ServerApp.allow_origin=*"]
    lab.run(argparse.Namespace(port=8888, no_browser=True, jupyter=more))
    assert weakening(started[0]) == more  # the test can fail
    for file in (Path(lab.__file__).parent / "jupyter").rglob("*.json"):
        assert not [weaker for weaker in WEAKER if weaker in file.read_text().lower()]
