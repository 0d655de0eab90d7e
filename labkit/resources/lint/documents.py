"""Mistakes of one document: what can't be read, what the API server refuses or warns of, what lacks
a namespace.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from labkit.errors import UnsupportedError
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
        and resource.kind != "Namespace"
        and not resource.metadata.get("namespace")
    ):
        yield diagnosis(
            "LAB03",
            resource,
            ("metadata",),
            "metadata.namespace is missing: kubectl uses its current namespace, most often "
            "`default`",
            "add `namespace:` under `metadata:`, next to the name",
        )


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
