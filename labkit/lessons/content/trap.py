"""A trap of the mistake gallery: break it, see the symptom, diagnose, fix, verify; each step on a
real mesh.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.errors import LabkitError, ManifestError, NotFound
from labkit.lessons.checks import check
from labkit.lessons.checks.verdict import Verdict, Why, conclude, quietly
from labkit.lessons.files import Listing, manifest
from labkit.resources import load
from labkit.resources.lint import Diagnoses

if TYPE_CHECKING:
    from labkit.mesh import Applied, Mesh
    from labkit.resources import Key

GALLERY = "11_mistake_gallery"
APP = "hello-world.yaml"
GATEWAY = f"{GALLERY}/gateway.yaml"
ROUTE = f"{GALLERY}/route.yaml"
SUBSETS = f"{GALLERY}/subsets.yaml"


class Difference(Listing):
    """What changed between two manifests; a notebook shows it with highlighting."""

    language = "diff"


@dataclass(frozen=True)
class Trap:
    """One mistake. Its manifests are GALLERY/ID/broken.yaml (or `published` ones) and
    GALLERY/ID/fixed.yaml.

    `before` is applied first, `then` is done after the broken manifest: what a manifest can't say.
    `symptom` passes while the mistake is there and fails when it is not; `verify` the other way
    round.

    >>> found = trap("second-rule")
    >>> found.break_it(mesh)
    >>> found.symptom(mesh)
    >>> found.diagnose(mesh)
    >>> found.fix(mesh)
    >>> found.verify(mesh)
    """

    id: str
    title: str
    code: str
    symptom: Callable[[Mesh], Verdict] = field(repr=False)
    verify: Callable[[Mesh], Verdict] = field(repr=False)
    published: tuple[str, ...] = ()
    before: tuple[str, ...] = (GATEWAY, ROUTE)
    then: Callable[[Mesh], object] | None = field(default=None, repr=False)

    @property
    def broken(self) -> list[Path]:
        """The files with the mistake in them."""
        names = [f"as-published/{name}.yaml" for name in self.published] or [
            f"{GALLERY}/{self.id}/broken.yaml"
        ]
        return [manifest(name) for name in names]

    @property
    def fixed(self) -> Path:
        """The file that fixes it."""
        return manifest(f"{GALLERY}/{self.id}/fixed.yaml")

    @property
    def given(self) -> list[Path]:
        """What is applied before: the service, and what the trap builds on."""
        return [manifest(name) for name in (APP, *self.before)]

    def show(self) -> Listing:
        """The manifest with the mistake, to be read before it is applied."""
        return Listing("---\n".join(path.read_text(encoding="utf-8") for path in self.broken))

    def difference(self) -> Difference:
        """What the fix changes: lines that go begin with -, lines that come with +."""
        before, after = (
            [line for line in text.splitlines() if not line.startswith("#")]
            for text in (str(self.show()), self.fixed.read_text(encoding="utf-8"))
        )
        return Difference(
            "\n".join(difflib.unified_diff(before, after, "broken", "fixed", lineterm=""))
        )

    def break_it(self, mesh: Mesh) -> Applied | Refusal:
        """Begins afresh and applies the broken manifest. What the mesh refuses comes back as text,
        not as an error.
        """
        self.prepare(mesh)
        try:
            applied = mesh.apply(*self.broken)
        except ManifestError as error:
            return Refusal(str(error))
        if self.then is not None:
            self.then(mesh)
        return applied

    def prepare(self, mesh: Mesh) -> None:
        """The mesh as it was before the mistake."""
        mesh.reset()
        clear(mesh, [self.fixed, *self.broken])
        mesh.apply(*self.given)

    def diagnose(self, mesh: Mesh) -> Diagnoses:
        """What the linter says of the mesh and, where the mesh refused the manifest, of the
        manifest: what is wrong and why, and not yet how to fix it (`advice`).
        """
        says = f"trap({self.id!r}).advice(mesh) says how"
        return Diagnoses(replace(found, fix=says) for found in self.advice(mesh))

    def advice(self, mesh: Mesh) -> Diagnoses:
        """The same, with how to fix it."""
        return mesh.lint(*self.broken) if self.refused else mesh.lint()

    @property
    def refused(self) -> bool:
        """Whether no mesh accepts the broken manifest."""
        try:
            load(*self.broken)
        except ManifestError:
            return True
        return False

    def fix(self, mesh: Mesh) -> Applied:
        """Applies the corrected manifest, and deletes what is in the broken one alone."""
        extra = keys(self.broken) - keys([self.fixed, *self.given])
        for kind, namespace, name in sorted(extra):
            remove(mesh, (kind, namespace, name))
        return mesh.apply(self.fixed)

    def walk(self, mesh: Mesh) -> list[str]:
        """All five steps; raises at the first that is not as it should be. Returns a line a step.

        >>> trap("undefined-subset").walk(mesh)
        ['every request: 503 NC', 'IST0101', …]
        """
        self.break_it(mesh)
        seen = self.symptom(mesh)
        found = self.diagnose(mesh)
        check.that(
            self.code in found.codes, f"the linter finds {self.code}", seen=sorted(found.codes)
        )
        self.fix(mesh)
        verified = self.verify(mesh)
        left = mesh.lint()
        check.that(not left, "nothing is left to find", seen=left)
        return [seen.claim, self.code, verified.claim]


class Refusal(str):
    """Why a manifest was refused."""

    def __repr__(self) -> str:
        return str(self)


def walk(mesh: Mesh, traps: Iterable[Trap], about: str) -> Verdict:
    """Walks through traps and says that each was broken, seen, diagnosed, fixed and verified.

    >>> walk(mesh, TRAPS, "all traps")
    PASS  all traps: broken, seen, diagnosed, fixed, verified
    """
    evidence: list[str] = []
    failed = ""
    for trap in traps:
        try:
            with quietly():
                evidence.append(f"{trap.id}: {' → '.join(trap.walk(mesh))}")
        except LabkitError as error:
            failed = f"{trap.id}: {error}"
            break
    expected = "the symptom and the code, and neither after the fix"
    why = Why(
        expected,
        failed or f"as expected in {len(evidence)} traps",
        tuple(evidence),
        near_miss="one step that differs",
    )
    return conclude(Verdict(not failed, f"{about}: broken, seen, diagnosed, fixed, verified", why))


def keys(paths: Iterable[Path]) -> set[Key]:
    """The objects of manifests, as far as they can be read."""
    found: set[Key] = set()
    for path in paths:
        try:
            found.update(resource.key for resource in load(path, strict=False))
        except ManifestError:
            continue  # not YAML: there is no object in it
    return found


def clear(mesh: Mesh, paths: Iterable[Path]) -> None:
    """Removes namespaces that a trap brings along, with all in them."""
    for key in sorted(keys(paths)):
        if key[0] == "Namespace":
            remove(mesh, key)


def remove(mesh: Mesh, key: Key) -> None:
    kind, namespace, name = key
    try:
        mesh.delete(kind, name, namespace=namespace or None)
    except NotFound:
        return  # it is gone already, with its namespace or because it was never accepted
