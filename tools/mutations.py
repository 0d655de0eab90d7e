"""Would a lesson notice? Puts one wrong value into one of its manifests and runs it: the lesson
must then fail.

    python -m tools.mutations                 every value of every manifest; lists the survivors
    python -m tools.mutations 03 12           those of two lessons
    python -m tools.mutations --list 03       what would be changed, and to what
    python -m tools.mutations --shard 1/4     every fourth one, beginning with the first

A policy value is each number, name, share, duration and switch under `spec` of a Gateway,
VirtualService or DestinationRule, each name of a label or header there, and the labels of a
Namespace. The wrong value is one that the API server takes as well, so it is the lesson's requests
that have to find it, not the validation. Manifests that are wrong on purpose are left out:
`as-published/`, `broken/`, broken*.yaml, and those that are refused as they stand.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from labkit.errors import LabkitError, LessonError
from labkit.lessons.files import course_folder
from labkit.lessons.notebook.sources import Lesson, lessons
from labkit.resources import load
from labkit.resources.kinds import ISTIO_KINDS

MAPS = ("labels", "headers", "withoutHeaders", "queryParams", "selector", "set", "add")
"""Fields whose keys are names that the author chose, and so are values too."""
ENUMS = (("RANDOM", "ROUND_ROBIN", "LEAST_REQUEST"), ("HTTP", "TCP"))
PERCENT = re.compile(r"(percentage|mirrorPercentage)\.value$|Percent$")
DURATION = re.compile(r"^(\d+(?:\.\d+)?)(ms|s|m|h)$")
ONLY_NAMES = re.compile(r"^spec\.(servers\[\d+\](\.port)?\.name|http\[\d+\]\.name)$")
"""Names that nothing else refers to: no request can tell one from another."""
UNSEEN: dict[str, str] = {
    "06_outlier_detection/quick.yaml spec.trafficPolicy.outlierDetection.baseEjectionTime: 2s → "
    "20s": "the lesson sets it itself, by how fast the machine is",
}
"""Mutations that no lesson can notice, by name, each with the reason. They are run all the same."""
RUN_TIMEOUT_S = 120.0
NOT_THE_LESSON = ("fs.inotify", "EnvoyUnavailable", "Cannot allocate memory")
"""A run that ended like this says nothing about the lesson."""

Path_ = tuple[str | int, ...]


@dataclass(frozen=True)
class Mutation:
    """One wrong value. `key`: it is the name of a field that is changed, not what
    stands behind it.
    """

    file: str
    document: int
    path: Path_
    old: Any
    new: Any
    key: bool = False

    @property
    def name(self) -> str:
        return f"{self.file} {dotted(self.path)}: {self.old} → {self.new}"

    def text(self, original: str) -> str:
        """The manifest with the wrong value in it."""
        documents = [deepcopy(document) for document in yaml.safe_load_all(original)]
        holder = documents[self.document]
        for step in self.path[:-1]:
            holder = holder[step]
        if self.key:
            holder[self.new] = holder.pop(self.path[-1])
        else:
            holder[self.path[-1]] = self.new
        return yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True)


@dataclass(frozen=True)
class Outcome:
    """What a lesson made of a mutation (or of nothing, `mutation=None`): the last line that it
    said, and when.
    """

    lesson: str
    mutation: Mutation | None
    passed: bool
    said: str
    seconds: float

    @property
    def survived(self) -> bool:
        return self.passed and self.mutation is not None

    @property
    def void(self) -> bool:
        """Whether it failed for a reason that has nothing to do with the lesson."""
        return not self.passed and any(word in self.said for word in NOT_THE_LESSON)

    def __str__(self) -> str:
        word = "SURVIVED" if self.survived else "VOID    " if self.void else "found   "
        name = self.mutation.name if self.mutation else f"{self.lesson} as it is"
        return (
            f"{word} {name}  ({self.seconds:.1f} "
            f"s{'' if self.passed else ': ' + first_line(self.said)})"
        )


def mutations(lesson: str, folder: Path | None = None) -> list[Mutation]:
    """Every mutation of the manifests of a lesson ("03_load_balancing"), in the order of the files.

    >>> mutations("03_load_balancing")[0].name
    '03_load_balancing/least-request.yaml spec.host: hello-world → hello-world-wrong'
    """
    root = (folder or course_folder()) / "manifests"
    found: list[Mutation] = []
    for path in sorted((root / lesson).rglob("*.yaml")):
        inside = path.relative_to(root)
        if "broken" in inside.parts or path.name.startswith("broken") or refused(path):
            continue
        for number, document in enumerate(yaml.safe_load_all(path.read_text(encoding="utf-8"))):
            found += [Mutation(str(inside), number, *rest) for rest in wrong_values(document)]
    return found


def refused(path: Path) -> bool:
    """Whether a manifest is wrong on purpose, so that nothing of it is ever in force."""
    try:
        load(path)
    except LabkitError:
        return True
    return False


def wrong_values(document: Any) -> Iterator[tuple[Path_, Any, Any, bool]]:
    """(path, value, wrong value, whether it is a field's name) for each policy
    value of one object.
    """
    kind = document.get("kind") if isinstance(document, dict) else None
    if kind in ISTIO_KINDS:
        yield from walk(document.get("spec"), ("spec",))
    elif kind == "Namespace":
        for name, value in (document["metadata"].get("labels") or {}).items():
            yield ("metadata", "labels", name), value, f"{value}-wrong", False


def walk(value: Any, path: Path_) -> Iterator[tuple[Path_, Any, Any, bool]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            # a map of names has its own values; `headers` of a route has request and response in
            # between
            if path[-1] in MAPS and name not in ("request", "response"):
                yield (*path, name), name, f"{name}-wrong", True
            yield from walk(inner, (*path, name))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from walk_item(inner, (*path, at), len(value))
    elif not ONLY_NAMES.match(dotted(path)):
        yield path, value, wrong(value, path), False


def walk_item(value: Any, path: Path_, among: int) -> Iterator[tuple[Path_, Any, Any, bool]]:
    """One element of a list; a lonely destination has all of the traffic, whatever its weight."""
    if isinstance(value, dict) and among == 1 and "weight" in value:
        value = {name: inner for name, inner in value.items() if name != "weight"}
    yield from walk(value, path)


def wrong(value: Any, path: Path_) -> Any:
    """A wrong value of the same kind: the API server takes it too.

    >>> wrong("RANDOM", ("simple",)), wrong(80, ("weight",)), wrong("1s", ("timeout",))
    ('ROUND_ROBIN', 20, '10s')
    """
    where = dotted(path)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        if path[-1] == "weight":
            return 100 - value if value != 50 else 25
        if PERCENT.search(where):
            return value + 50 if value <= 50 else value - 50
        return value + 1
    text = str(value)
    for values in ENUMS:
        if text in values:
            return values[(values.index(text) + 1) % len(values)]
    if duration := DURATION.match(text):
        return wrong_duration(float(duration[1]), duration[2])
    if path[-1] == "retryOn":
        return "cancelled"
    if text == "*":
        return "wrong.example.com"
    return text.rstrip("/") + "/wrong" if text.startswith("/") else f"{text}-wrong"


def wrong_duration(number: float, unit: str) -> str:
    """Ten times as long. Nothing becomes an hour; and what no lesson can wait for
    becomes a second.
    """
    if number == 0:
        return "3600s"
    return (
        "1s" if unit in ("m", "h") or (unit == "s" and number >= 60) else f"{number * 10:g}{unit}"
    )


def dotted(path: Path_) -> str:
    """`spec.http[0].route`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(
        "."
    )


def sample(lesson: Lesson, found: Sequence[Mutation]) -> Mutation:
    """The one that the gate tries: picked by a hash of the lesson's text and manifests.

    So the same tree always tries the same one, and each change to a lesson moves on to another.
    """
    if not found:
        raise LessonError(f"There is no policy value in the manifests of {lesson.name}")
    root = lesson.source.parent.parent.parent / "manifests"
    files = [lesson.source, *(root / name for name in sorted({one.file for one in found}))]
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).digest()
    return found[int.from_bytes(digest[:8], "big") % len(found)]


def run(lesson: Lesson, mutation: Mutation | None, *, timeout_s: float = RUN_TIMEOUT_S) -> Outcome:
    """Runs a lesson with its solutions, as a script, on a copy of the course's manifests with one
    wrong value.

    A script, not a notebook: it does the same, and starts in half of the time.
    """
    course = lesson.source.parent.parent.parent
    with tempfile.TemporaryDirectory(prefix="labkit-mutation-") as scratch:
        copy = Path(scratch)
        shutil.copytree(course / "manifests", copy / "manifests")
        (copy / "notebooks").mkdir()
        if mutation:
            file = copy / "manifests" / mutation.file
            file.write_text(mutation.text(file.read_text(encoding="utf-8")), encoding="utf-8")
        variables = {
            "LABKIT_COURSE": scratch,
            "LABKIT_STRICT": "1",
            "LABKIT_PROGRESS": "",
            "MPLBACKEND": "Agg",
        }
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, str(lesson.source)],
            cwd=copy / "notebooks",
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            _, errors = process.communicate(timeout=timeout_s)
            said = message(errors)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)  # a mesh ends with its owner
            process.communicate()
            said = f"no end after {timeout_s:g} s"
        return Outcome(
            lesson.name, mutation, process.returncode == 0, said, time.monotonic() - began
        )


def message(errors: str) -> str:
    """The error of a script, without the frames that led to it."""
    lines = errors.rstrip().splitlines()
    starts = [
        at
        for at, line in enumerate(lines)
        if re.match(r"^[\w.]+(Error|Failed|Refused|NotReady|NotFound|Died)\b", line)
    ]
    return "\n".join(lines[starts[-1] :] if starts else lines[-3:])


def first_line(text: str) -> str:
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line.rpartition("labkit.")[2][:160]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the command line asks for; 0 when every wrong value was found, 1 when some
    survived.
    """
    parser = argparse.ArgumentParser(
        prog="tools.mutations", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "lessons", nargs="*", metavar="LESSON", help="name or number (all where none is given)"
    )
    parser.add_argument("--list", action="store_true", help="print the mutations and run nothing")
    parser.add_argument(
        "--jobs", type=int, default=2, metavar="N", help="lessons at the same time (default 2)"
    )
    parser.add_argument(
        "--shard", default="1/1", metavar="K/N", help="every Nth mutation, beginning with the Kth"
    )
    args = parser.parse_args(arguments)
    chosen = lessons(*args.lessons)
    work = [(lesson, mutation) for lesson in chosen for mutation in mutations(lesson.name)]
    first, step = (int(part) for part in args.shard.split("/"))
    work = work[first - 1 :: step]
    if args.list:
        print("\n".join(mutation.name for _, mutation in work))
        return 0
    with ThreadPoolExecutor(max_workers=args.jobs) as pool:
        # a lesson that fails as it is would find every mutation
        for outcome in pool.map(
            lambda lesson: run(lesson, None), {lesson: None for lesson, _ in work}
        ):
            print(outcome, flush=True)
            if not outcome.passed:
                raise LessonError(f"{outcome.lesson} fails without any mutation", seen=outcome.said)
        outcomes = []
        for outcome in pool.map(lambda pair: run(*pair), work):
            print(outcome, flush=True)
            outcomes.append(outcome)
    survivors = [
        one for one in outcomes if one.survived and one.mutation and one.mutation.name not in UNSEEN
    ]
    void = [one for one in outcomes if one.void]
    print(
        f"{len(outcomes)} wrong values, {len(survivors)} survived, {len(void)} could not be tried"
    )
    for one in (*survivors, *void):
        print(f"  {one.mutation.name if one.mutation else one.lesson}")
    return 1 if survivors or void else 0


if __name__ == "__main__":
    sys.exit(main())
