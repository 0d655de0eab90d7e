"""Files and texts that somebody made to do harm: refused in words, soon, and in bounded memory."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labkit.cli import main
from labkit.errors import LabkitError, ParseError
from labkit.resources import check, load, load_text
from labkit.resources.lint.linting import lint
from labkit.resources.yaml.loading import LARGEST
from tests.trust import LONG, measured

from .maker import BROKEN, RUBBISH, bomb, nested
from .pipeline import swallow

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: n{0}\n  namespace: a\ndata:\n  a: b{0}\n"
COMMANDS = (("validate",), ("lint",), ("translate", "--proxy", "gateway"))


def refused_by_all(file: Path | str, capsys: pytest.CaptureFixture[str]) -> None:
    """No command ends by an exception of Python's own."""
    for words in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main([*words, str(file)])
        assert ended.value.code
        said = capsys.readouterr()
        assert "Traceback" not in said.err + said.out


@pytest.mark.parametrize("digits", [20, 308, 309, 400, 4301, 100_000])
@pytest.mark.parametrize("prefix", ["", "-", "0x", "0b", "0", "1."])
def test_huge_numbers(prefix: str, digits: int) -> None:
    swallow(f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {prefix}{'1' * digits}\n")


@pytest.mark.parametrize("what", sorted(RUBBISH))
def test_rubbish_from_python(what: str) -> None:
    value = RUBBISH[what]()
    swallow([value])
    swallow({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": value})
    swallow({"apiVersion": "apps/v1", "kind": "Deployment", "spec": value, "status": {}})
    swallow({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "spec": value})


def test_an_object_that_holds_itself() -> None:
    body: dict[str, object] = {"apiVersion": "v1", "kind": "ConfigMap"}
    body["data"] = body
    with pytest.raises(ParseError, match="nested too deeply"):
        load(body)


@pytest.mark.parametrize("text", BROKEN)
def test_broken_texts(text: str) -> None:
    swallow(f"kind: {text}\napiVersion: {text}\n{text}\n")


@pytest.mark.parametrize("replicas", [1001, 2**31 - 1, None])
def test_more_pods_than_anybody_has(replicas: int | None) -> None:
    (deployment,) = [r for r in load("manifests/hello-world.yaml") if r.kind == "Deployment"][:1]
    body = json.loads(json.dumps(deployment.body))
    body["spec"]["replicas"] = replicas
    began = time.process_time()
    swallow([body])
    assert time.process_time() - began < 1


SHAPES = [
    {"kind": "VirtualService", "apiVersion": "networking.istio.io/v1", "spec": {"http": "a"}},
    {"kind": "VirtualService", "apiVersion": "networking.istio.io/v9", "spec": {"http": ["a"]}},
    {"kind": "VirtualService", "apiVersion": "networking.istio.io/v1", "spec": {"http": ["a"]}},
    {"kind": "VirtualService", "apiVersion": "networking.istio.io/v1", "spec": {"hosts": 1}},
    {"kind": "Deployment", "apiVersion": "apps/v1", "spec": {"replicas": "many"}},
    {"kind": "Deployment", "apiVersion": "apps/v1", "spec": {"template": ["a"]}},
    {"kind": "Deployment", "apiVersion": "apps/v1", "spec": {"selector": {"matchLabels": 1}}},
    {"kind": "Pod", "apiVersion": "v1", "spec": {"containers": {"name": "a"}}},
    {"kind": "Service", "apiVersion": "v1", "spec": {"ports": 80, "selector": "app"}},
]


@pytest.mark.parametrize("body", SHAPES)
def test_wrong_shapes_that_say_they_are_from_a_server(body: dict[str, object]) -> None:
    metadata = {"name": "a", "namespace": "b", "creationTimestamp": "2026-01-31T12:00:00Z"}
    for each in (body, body | {"metadata": metadata}, body | {"metadata": metadata, "status": {}}):
        swallow([each])
        lint("manifests/hello-world.yaml", context=[each])


@pytest.mark.parametrize("make", [lambda: bomb(9), lambda: "a: &a [*a]\n", lambda: "[" * 10**6])
def test_a_text_that_grows(make: object) -> None:
    began = time.process_time()
    with pytest.raises(ParseError):
        load_text(make())  # type: ignore[operator]
    took = time.process_time() - began
    measured(
        "yaml-bomb",
        "YAML that grows: aliases of aliases, a million brackets",
        "refused in words",
        said_after_s=took,
    )
    assert took < 2


def test_bytes_that_are_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, data in enumerate((b"\xff\xfe\x00", b"a: \x80\n", "kind: ß".encode("utf-16"))):
        file = tmp_path / f"{number}.yaml"
        file.write_bytes(data)
        refused_by_all(file, capsys)
        offset, byte = ((0, 0xFF), (3, 0x80), (0, 0xFF))[number]
        with pytest.raises(ParseError) as caught:
            load(file)
        assert f"{file}:1: the file is not UTF-8" in str(caught.value)
        assert f"byte {offset} of the file is 0x{byte:02x}" in str(caught.value)
    measured(
        "no-text",
        "manifests whose bytes are no UTF-8, also on standard input",
        "refused by every command, with file, line and byte",
        raw_exceptions=0,
    )


def test_bytes_on_standard_input() -> None:
    for words in COMMANDS:
        found = subprocess.run(
            [sys.executable, "-m", "labkit", *words, "-"],
            input=b"kind: \xff\n",
            capture_output=True,
            timeout=60,
        )
        assert found.returncode == 1
        assert b"Traceback" not in found.stderr + found.stdout
        assert b"not UTF-8" in found.stderr + found.stdout


def test_what_is_no_ordinary_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A FIFO would make its reader wait without end, a device would never end."""
    fifo, circle, folder = tmp_path / "fifo.yaml", tmp_path / "circle.yaml", tmp_path / "folder"
    os.mkfifo(fifo)
    circle.symlink_to(circle)
    (folder / "x").mkdir(parents=True)
    (folder / "x" / "up").symlink_to(folder)
    began = time.monotonic()
    for file in (fifo, circle, folder, Path("/dev/zero"), tmp_path / ("a" * 300), "a\0b"):
        refused_by_all(file, capsys)
        with pytest.raises(LabkitError):
            load(Path(file))
    measured(
        "odd-files",
        "FIFOs, devices, links in a circle, names with a null byte as manifests",
        "each refused in words, by every command",
        said_after_s=time.monotonic() - began,
    )


def test_ten_megabytes(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    file.write_text(MAP.format(1) + "  large: " + "x" * (10 << 20) + "\n")
    began = time.process_time()
    (admission,) = check(file)
    took = time.process_time() - began
    assert not admission.accepted  # a ConfigMap takes a megabyte
    measured(
        "ten-megabytes",
        "one manifest of 10 MB, and one of 32 MB",
        "the first is refused as the API server does, the second is not read",
        said_after_s=took,
    )
    file.write_bytes(b"a" * (LARGEST + 1))
    with pytest.raises(ParseError, match="too large"):
        load(file)


def test_many_documents() -> None:
    """A tenth of 100,000 in an ordinary run; the time grows with their number and no faster."""
    many = 100_000 if LONG else 10_000
    text = "---\n".join(MAP.format(number) for number in range(many))
    began = time.process_time()
    found = check(text)
    took = time.process_time() - began
    assert len(found) == many
    assert all(admission.accepted for admission in found)
    assert took / many < 0.002
    measured(
        "many-documents",
        "a file of many documents",
        "each is judged; the time grows with their number",
        documents=many,
        each_ms=took / many * 1000,
    )


def test_a_list_of_lists_is_bounded() -> None:
    for value in (nested(5000, list), nested(5000, dict)):
        with pytest.raises(LabkitError):
            load({"apiVersion": "v1", "kind": "List", "items": value})


def test_a_text_instead_of_bytes_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(MAP.format(1)))
    with pytest.raises(SystemExit) as ended:
        main(["validate", "-"])
    assert not ended.value.code
