"""Folders and files that somebody else made first, or damaged: said, and never followed."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

from labkit.cli import main
from labkit.errors import MeshError
from labkit.lessons import progress
from labkit.mesh.embedded import state
from labkit.setup import record
from tests.trust import measured

GOOD = {"owner": 4194304, "group": 4194304, "gateway_port": 20001}
GOOD |= {"owner_started": 1.0, "created": 1.0}  # type: ignore[dict-item]
DAMAGED: dict[str, bytes] = {
    "empty": b"",
    "cut": json.dumps(GOOD).encode()[:30],
    "no text": b"\xff\xfe\x00",
    "list": b"[]",
    "null": b"null",
    "number": b"7",
    "deep": b"[" * 100_000,
    "nothing in it": b"{}",
    "owner is text": json.dumps(GOOD | {"owner": "me"}).encode(),
    "own group": json.dumps(GOOD | {"group": 0}).encode(),
    "all processes": json.dumps(GOOD | {"group": -1}).encode(),
    "init": json.dumps(GOOD | {"group": 1}).encode(),
    "true": json.dumps(GOOD | {"group": True}).encode(),
    "huge": json.dumps(GOOD | {"group": 10**30}).encode(),
    "no time": json.dumps(GOOD | {"owner_started": None}).encode(),
    "not a number": json.dumps(GOOD | {"created": float("nan")}).encode(),
}


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LABKIT_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    return tmp_path / "state"


def test_damaged_records_are_said_and_the_rest_is_ended(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, data in DAMAGED.items():
        (own / name).mkdir(parents=True)
        (own / name / state.RECORD).write_bytes(data)
    (own / "folder" / state.RECORD).mkdir(parents=True)
    (own / "clusters").mkdir()
    for number, data in enumerate((b"", b"[]", b"{}", b'{"key": 1}', b"\xff", b"[" * 100_000)):
        (own / "clusters" / f"{number}.json").write_bytes(data)
    (own / "a file").write_text("")
    good = own / "good"
    good.mkdir()
    (good / state.RECORD).write_text(json.dumps(GOOD))
    for command in ("status", "down"):
        assert run(command) == 0
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        assert said.err.count("is no record of a mesh") == len(DAMAGED) + 1
        assert said.err.count("is no record of a cluster") == 6
        assert "good" in said.out
    assert not good.exists()
    assert all((own / name).exists() for name in DAMAGED)
    measured(
        "damaged-records",
        "damaged `mesh.json` and records of clusters: cut, other types, the process groups 0, 1 "
        "and -1",
        "each named and left alone; `labkit down` ends the others",
        forms=len(DAMAGED) + 7,
    )


def test_no_process_is_ended_that_is_not_the_meshs(own: Path) -> None:
    """Ids are used again: this very process's group must survive what a record says."""
    folder = own / "one"
    folder.mkdir(parents=True)
    body = GOOD | {"group": os.getpgid(0), "owner": os.getpid()}
    (folder / state.RECORD).write_text(json.dumps(body))
    (found,) = state.meshes()
    assert not found.owner_runs
    state.end(found)
    assert not folder.exists()


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files, as /tmp: others may make files in it."""
    monkeypatch.delenv("LABKIT_STATE", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def planted(shared: Path, how: str) -> Path:
    """What somebody put where our folder is expected; returns a file that must stay as it is."""
    victim = shared / "victim"
    victim.mkdir()
    (victim / "precious").write_text("precious")
    place = state.root()
    if how == "link":
        place.symlink_to(victim)
    elif how == "file":
        place.write_text("")
    else:
        place.mkdir()
        place.chmod({"others may write": 0o777, "the group may write": 0o770}.get(how, 0o700))
        if how == "link inside":
            (place / "one").symlink_to(victim)
            (victim / state.RECORD).write_text(json.dumps(GOOD))
        if how == "another user":
            os.chown(place, 12345, -1)
    return victim / "precious"


@pytest.mark.parametrize(
    "how", ["link", "file", "others may write", "the group may write", "another user"]
)
def test_what_was_planted_in_the_temporary_folder_is_refused(shared: Path, how: str) -> None:
    if how == "another user" and os.geteuid():
        pytest.skip("only root can give a folder to another user")
    precious = planted(shared, how)
    with pytest.raises(MeshError, match="not yours alone"):
        state.new_folder()
    if how != "file":
        with pytest.raises(MeshError, match="not yours alone"):
            list(state.meshes())
    assert precious.read_text() == "precious"
    measured(
        "planted-folder",
        "a link, a file, another user's folder, one that others may write, where labkit's "
        "temporary folder is expected",
        "refused, also by `status` and `down`; nothing of it is read or removed",
    )


def test_a_link_in_the_place_of_a_mesh_is_not_followed(shared: Path) -> None:
    precious = planted(shared, "link inside")
    for mesh in state.meshes():
        state.end(mesh)
    assert precious.read_text() == "precious"


def test_without_the_check_a_link_would_be_followed(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard taken out: the mesh's files go where somebody else wants them."""
    precious = planted(shared, "link")
    monkeypatch.setattr(state, "check_private", lambda _: None)
    assert state.new_folder().resolve().parent == precious.parent


def test_folders_and_files_are_for_this_user_only(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0)
    try:
        folder = state.new_folder()
        assert folder.stat().st_mode & 0o077 == 0
        assert folder.parent.stat().st_mode & 0o077 == 0
        record.Record("one").save()
        assert (own / "clusters" / "one.json").stat().st_mode & 0o077 == 0
        monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path / "progress.json"))
        progress.record("exercises", "x", state="done")
        assert (tmp_path / "progress.json").stat().st_mode & 0o077 == 0
    finally:
        os.umask(before)


def test_every_temporary_file_has_a_name_that_nobody_knows() -> None:
    """mkstemp, mkdtemp and TemporaryDirectory make what is not there yet, for this user only."""
    root = Path(state.__file__).parents[2]
    for file in root.rglob("*.py"):
        text = file.read_text("utf-8")
        assert "mktemp(" not in text
        assert '"/tmp' not in text
        if file.name != "state.py":  # checks its folder itself
            assert "gettempdir" not in text
