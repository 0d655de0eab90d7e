"""Whether code can look into an object that nobody has validated."""

from __future__ import annotations

from labkit.errors import LabkitError
from labkit.resources import kinds
from labkit.resources.finding import Report
from labkit.resources.model import Resource
from labkit.resources.rules.schemas import schema_of
from labkit.resources.rules.structure import check_structure

WRONG = ("the type is wrong", "the field has no value", "an item of the list is empty")
"""What structure.py says of a value that is of another type than the schema's."""


def has_shape(resource: Resource) -> bool:
    """Whether every value has the type of its schema; True for a kind that labkit does not look
    into.
    """
    try:
        schema = schema_of(resource)
    except LabkitError:  # also one of our kinds, of a version that there is not
        return resource.kind not in kinds.RUN_NAMES
    report = Report(resource)
    check_structure(resource.body, schema, report)
    return not any(finding.message in WRONG for finding in report.findings)
