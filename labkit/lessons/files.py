"""Where the course keeps its files: lessons and manifests are found from any folder, so a notebook
needs no paths.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.errors import LessonError

if TYPE_CHECKING:
    from labkit.resources import Resource


def course_folder(start: str | None = None) -> Path:
    """The folder that holds `manifests/` and `notebooks/`.

    Looked for in LABKIT_COURSE, then from the working folder upwards, then beside the installed
    package.
    """
    named = os.environ.get("LABKIT_COURSE")
    places = [Path(named)] if named else []
    here = Path(start) if start else Path.cwd()
    places += [here, *here.parents, Path(__file__).resolve().parents[2]]
    for place in places:
        if (place / "manifests").is_dir() and (place / "notebooks").is_dir():
            return place
    raise LessonError(
        "Can't find the course's folder: the one with manifests/ and notebooks/ in it",
        seen=f"looked in {here} and above it",
        try_next="cd into your copy of the course, or set LABKIT_COURSE to its path",
    )


def manifest(name: str) -> Path:
    """The path of a manifest of the course.

    >>> mesh.apply(manifest("03_load_balancing/random.yaml"))
    """
    folder = course_folder() / "manifests"
    path = folder / str(name)
    if not path.exists():
        near = path.parent if path.parent.is_dir() else folder
        there = sorted(str(p.relative_to(folder)) for p in near.glob("*.yaml"))
        raise LessonError(
            f"There is no manifest {name!r}",
            seen=f"there: {', '.join(there) or 'nothing'}",
            try_next="check the name",
        )
    return path


def my_copy(name: str) -> Path:
    """A folder of the course's manifests as files of your own, to edit: the course's stay as they
    are.

    Copied when first asked for; a file that is there already is left as you have it. Delete one to
    have it as it was at first. They are in the course's folder, under mine/ (or in LABKIT_MINE).
    Raises LessonError where they can't be written.

    >>> mesh.apply(my_copy("12_capstone/broken"))
    """
    source = manifest(name)
    folder = Path(os.environ.get("LABKIT_MINE") or course_folder() / "mine") / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(source.glob("*.yaml")):
            if not (folder / file.name).exists():
                shutil.copyfile(file, folder / file.name)
    except OSError as error:
        raise LessonError(
            f"Can't copy {name} to {folder}",
            seen=str(error),
            try_next="set LABKIT_MINE to a folder that you may write in, and restart the kernel",
        ) from error
    return folder


class Listing(str):
    """Text of a file that a notebook shows with colours, and anything else as plain text."""

    language = "yaml"

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        # nbconvert's page gives text in an output the font of what is around it
        font = '<div style="font-family: var(--jp-code-font-family, monospace)">'
        return f"{font}\n\n```{self.language}\n{self.rstrip()}\n```\n\n</div>"


def show(name: str | Path | Resource) -> Listing:
    """The text of a manifest, to be read in a notebook before it is applied; or of an object of the
    mesh, to be read, changed and applied again.

    >>> show("03_load_balancing/random.yaml")
    >>> show(mesh.resource("DestinationRule", "hello-world-dr"))
    """
    if not isinstance(name, str | Path):
        from labkit.resources import dump  # takes a while to load

        return Listing(dump(written_by_hand(name)))
    path = name if isinstance(name, Path) else manifest(name)
    if not path.is_file():
        there = ", ".join(repr(str(p.name)) for p in sorted(path.glob("*.yaml"))) or "nothing"
        raise LessonError(f"{path} is no file", seen=f"in it: {there}", try_next="name one of them")
    return Listing(path.read_text(encoding="utf-8"))


def written_by_hand(resource: Resource) -> dict[str, Any]:
    """An object without what the control plane adds to it: what somebody would write down."""
    body = {key: value for key, value in resource.body.items() if key != "status"}
    kept = {key: resource.metadata[key] for key in BY_HAND if resource.metadata.get(key)}
    notes = {k: v for k, v in kept.pop("annotations", {}).items() if k != LAST_APPLIED}
    return {**body, "metadata": {**kept, **({"annotations": notes} if notes else {})}}


BY_HAND = ("name", "namespace", "labels", "annotations")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
