"""Mistakes of one document: what can't be read, what the API server refuses or warns of, what lacks
a namespace.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from labkit.errors import UnsupportedError
from labkit.resources import kinds
from labkit.resources.finding import Admission, Finding
from labkit.resources.lint.diagnosis import Diagnosis, diagnosis, title
from labkit.resources.lint.routes import is_of_reachability
from labkit.resources.model import Resource

_ANYWAY = (
    "compare the object with one that works: the indentation, the names of its fields, their values"
)
_WHERE = re.compile(r"^(?P<file>.*?):(?P<line>\d+): (?P<rest>.*)$", re.DOTALL)


def of_admission(admission: Admission, *, accepted: bool = False) -> Iterator[Diagnosis]:
    """What validation has said, with Istio's codes for it; warnings alone where a server has
    `accepted` the object.
    """
    resource = admission.resource
    if admission.error is not None:
        yield _unreadable(admission)
    if resource is None:
        return
    for finding in admission.findings:
        if not is_of_reachability(resource, finding) and not (
            accepted and finding.level == "error"
        ):
            yield _of_finding(resource, finding)
    if (
        resource.source is not None
        and _is_namespaced(resource)
        and not resource.metadata.get("namespace")
        and not any(found.path.startswith("metadata") for found in admission.errors)
    ):
        yield diagnosis(
            "LAB03",
            resource,
            ("metadata",),
            "metadata.namespace is missing: kubectl uses its current namespace, most often "
            "`default`",
            "add `namespace:` under `metadata:`, next to the name",
        )


def _is_namespaced(resource: Resource) -> bool:
    """Whether a kind is known to be in namespaces: not all are known."""
    row = kinds.find(resource.kind, resource.api_version.rpartition("/")[0])
    return row is not None and row.namespaced


def once_a_file(found: Iterable[Diagnosis]) -> Iterator[Diagnosis]:
    """The same diagnoses with one LAB03 a file: who writes no namespace writes it nowhere, and what
    thirty objects lack is one mistake.
    """
    found = list(found)
    lacking = Counter(each.file for each in found if each.code == "LAB03" and each.file)
    told: set[str] = set()
    for each in found:
        more = lacking[each.file] - 1
        if each.code != "LAB03" or more < 1:
            yield each
        elif each.file not in told:
            told.add(each.file)
            others = "1 more object" if more == 1 else f"{more} more objects"
            yield replace(each, what=f"{each.what}. So it is for {others} of this file")


def _of_finding(resource: Resource, finding: Finding) -> Diagnosis:
    said = [finding.message]
    if finding.found:
        said.append(f"found {finding.found}")
    allowed = f"allowed is {finding.allowed}" if finding.allowed else ""
    return Diagnosis(
        code="IST0106" if finding.level == "error" else "IST0133",
        object=title(resource),
        path=finding.path,
        line=finding.line,
        file=finding.file,
        what="; ".join(said),
        fix=finding.hint or allowed or _ANYWAY,
        key=resource.key,
    )


def _unreadable(admission: Admission) -> Diagnosis:
    error = admission.error
    assert error is not None
    found = _WHERE.match(error.message)
    resource = admission.resource
    line = (
        int(found["line"])
        if found
        else (resource.source.line if resource and resource.source else 1)
    )
    seen = f"; {error.seen}" if error.seen else ""
    return Diagnosis(
        code="LAB02" if isinstance(error, UnsupportedError) else "LAB01",
        object=title(resource) if resource else "",
        path="",
        line=line,
        file=found["file"] if found else admission.file,
        what=(found["rest"] if found else error.message) + seen,
        fix=error.try_next or "fix the text, then lint again",
    )
