"""`PolicyState`: all that follows from a text and from what is in force. The view and the export
show it; nothing here knows a panel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labkit.resources import diff
from labkit.ui.panels.config_dump import marked
from labkit.ui.panels.policy import controls
from labkit.ui.panels.policy.fields import Group
from labkit.ui.panels.policy.findings import ShownFinding, as_notes, of_text
from labkit.ui.panels.policy.in_force import InForce
from labkit.ui.panels.policy.paths import at, subset_names
from labkit.ui.panels.policy.text import PolicyText

MarkedLine = tuple[str, str]
"""A mark (+, -, … or a space) and a line."""


@dataclass(frozen=True)
class PolicyState:
    """What is to be seen of a text: the controls' values, findings, changes against what is in
    force.
    """

    text: str = ""
    in_force: str = ""
    """What the mesh has for the objects of the text; "" where it has none of them."""
    unreadable: str = ""
    """Why it can't be read; the controls then are those of the last text that could."""
    documents: tuple[str, ...] = ()
    """Kind and name of each object."""
    document: int = 0
    """Which of them the controls are about."""
    subsets: tuple[str, ...] = ()
    subset: str = ""
    """Whose policy the controls are about; "" is the whole service."""
    groups: tuple[Group, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    """What each control shows, by its path."""
    notes: Mapping[str, list[list[str]]] = field(default_factory=dict)
    """What stands beside a control: [level, words], by its path or by "group …"."""
    findings: tuple[ShownFinding, ...] = ()

    @property
    def diff(self) -> list[MarkedLine]:
        """What Apply would change, two lines around it; "…" where lines are left out."""
        lines = diff(self.in_force, self.text, context=2)[2:]
        rows = [("…", "") if line[:1] == "@" else (line[:1], line[1:]) for line in lines]
        return rows[1:]

    @property
    def lines(self) -> list[MarkedLine]:
        """All lines of the text; where they differ from what is in force, both, with + and -."""
        return marked(self.in_force.splitlines(), self.text.splitlines())

    def as_dict(self) -> dict[str, Any]:
        """For the view, as JSON has it."""
        return {
            "text": self.text,
            "unreadable": self.unreadable,
            "documents": list(self.documents),
            "document": self.document,
            "subsets": list(self.subsets),
            "subset": self.subset,
            "groups": [group.as_dict() for group in self.groups],
            "values": dict(self.values),
            "notes": dict(self.notes),
            "findings": [finding.as_dict() for finding in self.findings],
            "diff": self.diff,
            "is_new": not self.in_force,
            "is_applied": self.in_force == self.text,
        }


def state_of(
    policy: PolicyText, in_force: InForce, before: PolicyState, *, document: int, subset: str
) -> PolicyState:
    """What is to be seen of a text among the objects of a mesh.

    `document` and `subset` are what the controls are to be about; where the text does not have
    them, they are about the last document and the whole service. `before` is the state before:
    while the text can't be read its controls stay.
    """
    admissions = policy.admissions()
    findings = tuple(of_text(admissions, in_force.objects))
    unreadable = next(
        (str(v.error.message) for v in admissions if v.resource is None and v.error), ""
    )
    applied = in_force.text(policy)
    if unreadable:
        return PolicyState(
            text=policy.text,
            in_force=applied,
            unreadable=unreadable,
            documents=before.documents,
            document=document,
            subset=subset,
            groups=before.groups,
            values=before.values,
            findings=findings,
        )
    bodies = policy.bodies
    document = min(document, max(0, len(bodies) - 1))
    body = policy.body(document)
    names = subset_names(body)
    subset = subset if subset in names else ""
    groups = controls.groups(body, subset)
    return PolicyState(
        text=policy.text,
        in_force=applied,
        documents=tuple(
            f"{at(each, ('kind',))} {at(each, ('metadata', 'name'))}" for each in bodies
        ),
        document=document,
        subsets=tuple(filter(None, names)) if at(body, ("kind",)) == "DestinationRule" else (),
        subset=subset,
        groups=tuple(groups),
        values=controls.values(body, groups, subset),
        notes=as_notes(findings, document, body, subset, groups),
        findings=findings,
    )
