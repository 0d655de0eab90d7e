"""Secrets that labkit handles, and where they must not show: outputs, errors, files, progress."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import labkit
from labkit.cli import main
from labkit.errors import LabkitError
from labkit.lessons.notebook.report import whole_lesson
from labkit.lessons.notebook.run import run_lesson
from labkit.mesh.cluster.client import api as api_module
from labkit.mesh.cluster.client.api import Api
from labkit.mesh.cluster.client.guard import guarded
from labkit.mesh.embedded import EmbeddedMesh
from labkit.mesh.embedded.pod import ControlPort
from tests.mesh.cluster.test_nothing_goes_out import kubeconfig, listening
from tests.mesh.conftest import GATEWAY, HELLO, ROUTE, URL
from tests.trust import LONG, measured

TOKEN = "planted-token-0123456789abcdef"
KEY = "planted-key-0123456789abcdef"
USER = {
    "token": TOKEN,
    "client-key-data": base64.b64encode(KEY.encode()).decode(),
    "password": f"{TOKEN}-password",
    "username": "me",
}
FORMS = [
    TOKEN,
    KEY,
    base64.b64encode(KEY.encode()).decode(),
    base64.b64encode(TOKEN.encode()).decode(),
]


def telling(text: str) -> list[str]:
    """The secrets in a text."""
    return [form for form in FORMS if form in text]


def files(folder: Path) -> Iterator[tuple[Path, str]]:
    for file in folder.rglob("*"):
        if file.is_file() and file.name != "kubeconfig":
            yield file, file.read_text("latin-1")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    """A kubeconfig with secrets for a server on this machine that refuses everything, and says why
    at length; and the folder of all that labkit writes.
    """
    written = tmp_path / "written"
    written.mkdir()
    for name in ("STATE", "PROGRESS"):
        monkeypatch.setenv(f"LABKIT_{name}", str(written / name.lower()))
    body = json.dumps({"kind": "Status", "code": 401, "message": f"no user has {TOKEN}"}).encode()
    head = f"HTTP/1.1 401 No\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    with listening(head.encode() + body) as server:
        file = kubeconfig(
            tmp_path, f"http://127.0.0.1:{server.port}", USER | {"client-key-data": ""}
        )
        monkeypatch.setenv("KUBECONFIG", str(file))
        yield file, written


def test_a_clusters_credentials_show_nowhere(
    cluster: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file, written = cluster
    said: list[str] = []
    for words in (
        ["doctor", "--backend", "cluster"],
        ["status"],
        ["down"],
        ["up"],
    ):
        with contextlib.suppress(SystemExit):
            main(words)
    out = capsys.readouterr()
    said += [out.out, out.err]
    pinned = guarded(None, file)
    api = Api(pinned)
    said += [repr(pinned), str(pinned), repr(api), str(api)]
    with pytest.raises(LabkitError) as caught:
        api.json("GET", "/version")
    said += [str(caught.value), repr(caught.value), "".join(caught.value._render_traceback_())]
    with pytest.raises(LabkitError) as caught:
        labkit.open_mesh("cluster", kubeconfig=file)
    said += [str(caught.value)]
    assert any("does not know who you are" in each for each in said)
    for text in said:
        assert telling(text) == []
    for name, text in files(written):
        assert telling(text) == [], name
    measured(
        "credentials",
        "a kubeconfig with a token and a password, at a server that refuses it and repeats the "
        "token in its answer",
        "not in what commands say, errors, objects' texts, and the files that labkit writes",
        found=0,
    )


def test_with_the_guard_taken_out_a_token_is_seen(
    cluster: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_module, "without", lambda text, _: text)
    with pytest.raises(LabkitError) as caught:
        Api(guarded(None, cluster[0])).json("GET", "/version")
    assert telling(str(caught.value)) != []


NOTEBOOK = """import labkit
from labkit.lessons import progress
progress.record("exercises", "x", state="done")
try:
    mesh = labkit.open_mesh("cluster")
except labkit.LabkitError as error:
    print(error)"""


@pytest.mark.notebook
@pytest.mark.skipif(not LONG, reason="LABKIT_LONG=1: what it runs is tried above without a kernel")
def test_a_lesson_that_ran_holds_no_secret(cluster: tuple[Path, Path], tmp_path: Path) -> None:
    notebook = new_notebook(cells=[new_code_cell(NOTEBOOK)])
    python = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata["kernelspec"] = python
    nbformat.write(notebook, tmp_path / "lesson.ipynb")
    run = run_lesson(tmp_path / "lesson.ipynb")
    assert run.passed
    text = json.dumps(run.notebook) + whole_lesson(run.notebook)
    assert "does not know who you are" in text
    assert telling(text) == []
    for name, text in files(cluster[1]):
        assert telling(text) == [], name


@pytest.mark.embedded
def test_the_secret_of_a_meshs_controls_shows_nowhere() -> None:
    with labkit.open_mesh() as mesh:
        assert isinstance(mesh, EmbeddedMesh)
        mesh.apply(HELLO, GATEWAY, ROUTE)
        pod = mesh.pods("hello-world-v1")[0].name
        secret = mesh._controller.control_token
        mesh.app(pod, "GET", "/control/state")
        answers = mesh.curl(URL, n=4)
        with pytest.raises(LabkitError) as caught:
            mesh.app(pod, "POST", "/control/none")
        shown: list[Any] = [
            mesh,
            answers.frame.to_csv(),
            [each.headers for each in answers.responses],
            [each.body for each in answers.responses],
            mesh.describe("pod", pod),
            mesh.logs(pod),
            mesh.logs(pod, container="istio-proxy"),
            [each.body for each in mesh.objects()],
            mesh.access_log().to_csv(),
            json.dumps(mesh.config("gateway")),
            mesh.history,
            str(caught.value),
            vars(mesh._controller.running[pod]),
            ControlPort(1, secret),
        ]
        for each in shown:
            assert secret not in f"{each!r}{each}"
        for name, text in files(mesh._controller.folder):
            assert secret not in text, name
    measured(
        "controls-secret",
        "the secret of a mesh's controls, after they were used",
        "not in answers, logs, objects, Envoy's configuration, errors, and the mesh's files",
        found=0,
    )
