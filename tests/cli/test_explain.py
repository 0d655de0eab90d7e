"""`labkit explain`: from files to an explanation, as text and as JSON."""

from __future__ import annotations

import io
import json
import shlex
from pathlib import Path

import pytest

from labkit.cli import main

MANIFESTS = Path(__file__).parents[2] / "manifests"
FILES = [
    str(MANIFESTS / name)
    for name in (
        "hello-world.yaml",
        "client.yaml",
        "04_gateway_and_virtual_service/gateway.yaml",
        "08_subsets_and_rewrite/subsets.yaml",
        "08_subsets_and_rewrite/beta.yaml",
    )
]


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["explain", *words])
    return int(stop.value.code or 0)


def test_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*FILES, "--request", "GET http://test.example.com/beta/x") == 0
    said = capsys.readouterr().out
    assert "outbound|80|v2|hello-world.hello-world.svc.cluster.local" in said
    assert "near miss: VirtualService hello-world/hello-world-vs, http[0], match[0]: " in said
    assert "beta.yaml:18 VirtualService hello-world/hello-world-vs, spec.http[0].rewrite" in said


def test_as_json_with_headers(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--request", "http://any.test/", "--header", "Host: test.example.com", "-o", "json")
    assert run(*FILES, *words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["outcome"]["kind"] == "routed"


def test_from_a_sidecar(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--request", "http://hello-world/", "--proxy", "sidecar:client")
    assert run(*FILES, *words) == 0
    assert "at the sidecar of client-1" in capsys.readouterr().out


def test_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(Path(FILES[2]).read_text()))
    assert run("-", "--request", "http://test.example.com/") == 0
    assert "→ 404 by Envoy" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--request", "http://a.b/", "--header", "x"), "'x' is no header"),
        (("--request", "http://a.b/", "--proxy", "sidecar:nobody"), "no proxy 'sidecar:nobody'"),
        (("--request", "ftp://a.b/"), "plain HTTP, not ftp"),
    ],
)
def test_what_is_wrong_is_said(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*FILES, *words) == 1
    assert said in capsys.readouterr().err


def test_the_example_of_the_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (MANIFESTS.parent / "docs" / "explain.md").read_text(encoding="utf-8")
    example = page.partition("```\n$ labkit explain ")[2].partition("```")[0]
    command, _, answer = example.replace("\\\n", " ").partition("\n")
    monkeypatch.chdir(MANIFESTS.parent)
    assert run(*shlex.split(command)) == 0
    assert capsys.readouterr().out == answer
