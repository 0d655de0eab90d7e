"""What `labkit up` has made, written down before it is made: one small file for each cluster.

So `labkit down` knows what to give back, and an `up` that was interrupted can go on. The files are
in LABKIT_STATE, or in the folder where the system keeps such state (~/.local/state/labkit on
Linux); no secret is in them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from labkit.errors import LabkitError

FOLDER = "clusters"


@dataclass
class Record:
    """One cluster that `labkit up` has worked on. Empty fields: that was not done (yet)."""

    key: str
    begun: float = field(default_factory=time.time)
    done: bool = False
    # Minikube
    profile: str = ""
    profile_made: bool = False
    profile_started: bool = False
    certificate: str = ""  # the fingerprint of the profile's own certificate, see Minikube
    former_context: str = ""  # the kubeconfig's current context before Minikube changed it
    # the cluster
    context: str = ""
    server: str = ""
    uid: str = ""
    kubeconfig: list[str] = field(default_factory=list)
    # Istio
    installer: str = ""  # by which Istio was installed: istioctl, helm or addons
    # more words for istioctl, some of which uninstalling needs too
    istioctl: list[str] = field(default_factory=list)
    before: dict[str, str] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    hosts: str = ""  # the file that got a line

    def save(self) -> None:
        """Writes the file, whole or not at all."""
        top = folder()
        top.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = top / f"{self.key}.json"
        beside = file.with_suffix(".new")
        beside.touch(mode=0o600)
        beside.write_text(json.dumps(dataclasses.asdict(self), indent=1), "utf-8")
        os.replace(beside, file)

    def forget(self) -> None:
        """Removes the file."""
        (folder() / f"{self.key}.json").unlink(missing_ok=True)

    @property
    def state(self) -> str:
        """A few words on how far the installation is."""
        return "installed" if self.done else "not finished (labkit up goes on)"


def folder() -> Path:
    """The folder of all records."""
    if chosen := os.environ.get("LABKIT_STATE"):
        return Path(chosen) / FOLDER
    import platformdirs

    return Path(platformdirs.user_state_path("labkit", appauthor=False)) / FOLDER


def records() -> Iterator[Record]:
    """Every cluster that `labkit up` has worked on, and `labkit down` has not given back. What is
    no record of ours is named on standard error, and left alone.
    """
    for file in sorted(folder().glob("*.json")):
        try:
            found = load(file.stem)
        except LabkitError as error:
            sys.stderr.write(f"{error}\n")
            continue
        if found is not None:
            yield found


def load(key: str) -> Record | None:
    """The record of this key, or None. Raises LabkitError for a file that we have not written."""
    file = folder() / f"{key}.json"
    try:
        found = json.loads(file.read_bytes())
        if "way" in found:  # as earlier releases called it
            found["installer"] = found.pop("way")
        fields = dataclasses.fields(Record)
        values = {each.name: found[each.name] for each in fields if each.name in found}
        for name, value in values.items():
            if type(value) is not type(getattr(Record(key), name)):
                raise TypeError(f"{name}: {value!r:.40}")
        return Record(**values)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise LabkitError(
            f"{file} is no record of a cluster, so it is left alone",
            seen=str(error),
            try_next=f"look at it, then remove it: rm {file}",
        ) from error


def known(key: str, uid: str) -> Record:
    """What is written down of a cluster, or a new record under this key.

    Its uid counts first: the address, and so the key, may be another one than it was.
    """
    same = next((found for found in records() if uid and found.uid == uid), None)
    return same or load(key) or Record(key)


def key_for(name: str, server: str = "") -> str:
    """The name of a cluster's file: readable, and another one for another server.

    >>> key_for("kind-lab", "https://127.0.0.1:6443")
    'kind-lab-6c5003f4'
    """
    readable = re.sub(r"[^\w.-]+", "-", name)[:40]
    return f"{readable}-{hashlib.sha256(server.encode()).hexdigest()[:8]}"
