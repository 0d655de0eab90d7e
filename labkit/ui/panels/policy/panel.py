"""`PolicyPanel`: change a policy by its controls or by its YAML, apply it, and see what Envoy got.

    panel = PolicyPanel(mesh, "03_load_balancing/random.yaml")
    panel                                            # in a notebook: controls, YAML, changes

    panel.set("loadBalancer.simple", "ROUND_ROBIN")  # what a click does, from Python
    panel.set("loadBalancer.simple", "RANDOM", subset="v2")
    panel.type(panel.yaml.replace("RANDOM", "LEAST_REQUEST"))
    panel.apply()
    panel.undo()
    panel.reset()                                    # the published text; the mesh stays as it is

The text is the state: every control reads it and edits it, and there is no second way to change a
policy.
"""

from __future__ import annotations

import os
import time
from pathlib import Path as FilePath
from typing import Any, ClassVar

import traitlets

from labkit.errors import LabkitError, LessonError, ManifestError
from labkit.lessons.files import manifest as course_manifest
from labkit.mesh import Applied, Mesh
from labkit.resources import load_text
from labkit.ui.panels.base import Panel, action, static, work
from labkit.ui.panels.config_dump import envoy_lines, marked
from labkit.ui.panels.policy import completion, controls, export
from labkit.ui.panels.policy.drafts import Draft, key_of
from labkit.ui.panels.policy.fields import MODE, Field
from labkit.ui.panels.policy.in_force import InForce
from labkit.ui.panels.policy.paths import at, place, subset_names
from labkit.ui.panels.policy.state import PolicyState, state_of
from labkit.ui.panels.policy.text import NAME, PolicyText

UNDO_STEPS = 200
ONE_STEP_S = 1.0
"""Keys that follow each other within a second are undone together."""


class PolicyPanel(Panel):
    """Controls of a DestinationRule or VirtualService beside its YAML. `manifest` is a file, a name
    under the course's manifests/, or the text itself; `proxy` is whose configuration is shown: the
    gateway, or a pod's sidecar.

    What is typed is kept as a draft under the name `draft` (the manifest's own where none is
    given), so that it is there after a restart of the kernel. Raises LessonError for a manifest
    that is not there or is a folder, NotFound for a proxy that is not there, and what the mesh
    raises. A text that is wrong raises nothing: see `findings`.
    """

    title: ClassVar[str] = "Change a policy"
    scripts = ("policy_parts.js", "policy_editor.js", "policy.js")
    styles = ("policy.css",)

    state = traitlets.Dict().tag(sync=True)
    """All that follows from the text, in one piece: text, controls, findings, what is changed."""
    envoy = traitlets.Dict().tag(sync=True)
    """What the proxy got: {"proxy", "about", "rows": [[mark, line], …]}."""
    said = traitlets.Unicode("").tag(sync=True)
    """What the last Apply did."""
    note = traitlets.Unicode("").tag(sync=True)
    """That a draft is back."""

    def __init__(
        self,
        mesh: Mesh,
        manifest: str | os.PathLike[str],
        *,
        proxy: str = "gateway",
        draft: str | None = None,
    ) -> None:
        self.mesh = mesh
        self.proxy = proxy
        self.published, key = read(manifest)
        self.in_force = InForce(mesh)
        self.draft = Draft(draft or key, self.published, on_error=self.show_error)
        text, kept_at = self.draft.load()
        self.policy = PolicyText.parse(text)
        self.policy_state = PolicyState()
        self.past: list[str] = []
        self.touched: tuple[str, float] = ("", 0.0)
        self.together = False
        self.heard: list[Any] = ["", 0]
        self.document = 0
        self.subset = ""
        self.envoy_before: list[str] = []
        self.envoy_now: list[str] = []
        note = f"Your draft from {kept_at} is back." if kept_at else ""
        super().__init__(note=note, drafts_kept=self.draft.lasts)
        self.look()

    # what is in view

    @property
    def yaml(self) -> str:
        """The text in view."""
        return self.policy.text

    @property
    def body(self) -> Any:
        """The object in view as plain values. Raises ParseError where the text is not YAML."""
        return self.policy.body(self.document)

    @property
    def findings(self) -> list[dict[str, Any]]:
        """What validation and the linter say of the text: level, line, path, what, fix."""
        return list(self.state["findings"])

    @property
    def changes(self) -> list[str]:
        """Lines that differ from what is applied, each with + or - in front."""
        return [f"{mark}{line}" for mark, line in self.state["diff"] if mark in "+-"]

    @property
    def got(self) -> list[str]:
        """What Envoy has for it now, as lines of YAML."""
        return list(self.envoy_now)

    # actions

    @action
    def set(self, path: str, value: Any, *, subset: str | None = None) -> None:
        """Sets one field of the YAML in view; None removes it. A path that does not begin with
        `spec` is below the traffic policy of `subset`: "" is the whole service, None what is in
        view. Raises ManifestError for a subset that is not there, ParseError while the text is not
        YAML. The mesh keeps what it has until `apply`.

        >>> panel.set("outlierDetection.consecutive5xxErrors", 3)
        >>> panel.set("spec.http[0].route[1].weight", 20)
        """
        where = place(self.body, path, self.subset if subset is None else subset)
        if where[-1:] == (MODE,) and isinstance(value, str):
            self.put(self.policy.with_mode(where[:-1], value, document=self.document))
        else:
            self.put(self.policy.with_field(where, value, document=self.document))

    @action
    def turn(self, path: str, words: str) -> None:
        """What a control does: the field gets what was typed into it, be it right or wrong; empty
        removes it.
        """
        self.soon_again(f"{self.subset} {path}")
        field = self.control(path)
        if field.kind == "choice":
            self.set(path, words)
        else:
            self.set(path, controls.parsed(words, field))

    @action
    def type(self, text: str, view: str = "", number: int = 0) -> None:
        """Replaces the text, as typing does. It may be anything: what is wrong with it is in
        `findings`.
        """
        self.heard = [view, number]
        self.soon_again(f"text {view}" if view else "")
        self.put(PolicyText.parse(text))

    @action
    def add(self, group: str) -> None:
        """Adds one more of a group: a subset."""
        names = subset_names(self.body)
        number = next(n for n in range(1, len(names) + 2) if f"v{n}" not in names)
        more = {"name": f"v{number}", "labels": {"version": f"v{number}"}}
        where = ("spec", "subsets", len(names))
        self.put(self.policy.with_field(where, more, document=self.document))

    @action
    def remove(self, path: str) -> None:
        """Removes a field and what is below it."""
        self.set(path, None)

    @action
    def choose(self, *, subset: str | None = None, document: int | None = None) -> None:
        """Chooses what the controls are about: a subset ("" is the whole service), or a document of
        the text.
        """
        if subset:
            place(self.body, (), subset)  # raises where there is none of that name
        self.subset = self.subset if subset is None else subset
        if document is not None:
            self.document, self.subset = int(document), ""
        self.refresh()

    @action
    def choose_subset(self, subset: str) -> None:
        self.choose(subset=subset)

    @action
    def choose_document(self, document: int) -> None:
        self.choose(document=document)

    @work("Applying")
    def apply(self) -> Applied:
        """Applies the text in view to the mesh, and returns what the mesh says, as soon as the
        proxies hold it. Raises what `mesh.apply` raises: ManifestError for a text that would be
        refused, MeshError for a mesh that is closed.
        """
        self.draft.flush()
        with self.lock:
            policy = self.policy
        before = self.ask_envoy(policy)
        applied = self.mesh.apply(load_text(policy.text, NAME))
        now = self.ask_envoy(policy)
        with self.lock:
            self.in_force.applied(policy)
            self.envoy_before, self.envoy_now = before, now
            self.said = f"Applied at {time.strftime('%H:%M:%S')}. {' '.join(str(applied).split())}"
            self.show_envoy()
            self.refresh()
        return applied

    @action
    def undo(self) -> None:
        """The text before the last change. The mesh keeps what it has until the next Apply."""
        if self.past:
            self.put(PolicyText.parse(self.past.pop()), remember=False)

    @action
    def reset(self) -> None:
        """The published text. The mesh keeps what it has until the next Apply."""
        self.note = ""
        self.put(PolicyText.parse(self.published))

    @action
    def back_to_applied(self) -> None:
        """The text that is in force."""
        self.put(PolicyText.parse(self.in_force.text(self.policy)))

    def send_editor(self) -> None:
        """Sends the editor of the YAML to the view, which asks for it once a page: it is long, and
        no state.
        """
        self.send({"editor": static("editor/editor.js"), "index": completion.index()})

    send_editor.asked_for = "now"  # type: ignore[attr-defined]

    @work("Looking")
    def look(self) -> None:
        """Reads again what is applied and what Envoy has: somebody else may have changed it."""
        now = self.ask_envoy(self.policy)
        with self.lock:
            if now != self.envoy_now:
                self.envoy_before = self.envoy_now = now
            self.in_force.look()
            self.show_envoy()
            self.refresh()

    # how

    def control(self, path: str) -> Field:
        """The control of a path in what is in view; a plain text field where there is none."""
        found = (
            field for group in controls.groups(self.body, self.subset) for field in group.fields
        )
        return next((field for field in found if field.path == path), Field(path, path, ""))

    def soon_again(self, place: str) -> None:
        """Notes that a view changes something in one place: what comes soon after, in the same one,
        is one change.
        """
        last, at = self.touched
        self.together = bool(place) and place == last and time.monotonic() - at < ONE_STEP_S
        self.touched = (place, time.monotonic())

    def put(self, policy: PolicyText, *, remember: bool = True) -> None:
        """Takes a new text: remembers the old one, keeps the draft, and finds out
        all that follows.
        """
        if policy != self.policy:
            if remember and not (self.together and self.past):
                self.past = [*self.past[-UNDO_STEPS:], self.policy.text]
            self.policy = policy
            self.draft.save(policy.text)
            self.drafts_kept = self.draft.lasts
        self.together = False
        self.refresh()

    def refresh(self) -> None:
        """Brings `state` up to date. A mesh that does not answer is an error of the panel, and the
        text goes on.
        """
        try:
            self.in_force.look_again()
        except LabkitError as error:
            self.show_error(error)
        self.policy_state = state_of(
            self.policy,
            self.in_force,
            self.policy_state,
            document=self.document,
            subset=self.subset,
        )
        self.document, self.subset = self.policy_state.document, self.policy_state.subset
        self.state = {
            **self.policy_state.as_dict(),
            "heard": list(self.heard),
            "is_published": self.yaml == self.published,
            "can_undo": bool(self.past),
        }

    def ask_envoy(self, policy: PolicyText) -> list[str]:
        """What the proxy has for the objects of a text; what was seen before, where the text can't
        be read.
        """
        if policy.error is not None:
            return self.envoy_now
        dump = self.mesh.config(self.proxy)
        return [
            line
            for body in policy.bodies
            if isinstance(body, dict)
            for line in envoy_lines(dump, body)
        ]

    def show_envoy(self) -> None:
        rows = marked(self.envoy_before, self.envoy_now)
        count = sum(mark != " " for mark, _ in rows)
        about = (
            f"{count} lines changed with the last Apply"
            if count
            else "nothing changed with the last Apply"
        )
        if not self.said:
            about = "as it is now"
        if not rows:
            about = "nothing yet: the proxy has no cluster or route for this object"
        self.envoy = {"proxy": self.proxy, "about": about, "rows": rows}

    def way_back(self, error: LabkitError, doing: str) -> dict[str, str]:
        if doing == "apply" and isinstance(error, (ManifestError, LessonError)):
            return {"label": "Show what is in force", "do": "back_to_applied"}
        return {"label": "Try again", "do": doing} if doing in ("apply", "look") else {}

    def text(self) -> str:
        return export.plain(self.title, self.policy_state, self.said)

    def page(self) -> str:
        return export.page(self.title, self.policy_state, self.said, self.envoy)

    def close(self) -> None:
        if "draft" in vars(self):  # a widget is also closed when it is thrown away half-made
            self.draft.close()
        super().close()


def read(manifest: str | os.PathLike[str]) -> tuple[str, str]:
    """The text of a manifest (a path, a name under manifests/, or the text itself), and the key of
    its draft.
    """
    if isinstance(manifest, str) and "\n" in manifest:
        body = PolicyText.parse(manifest).body()
        name = [
            str(at(body, path))
            for path in (("kind",), ("metadata", "namespace"), ("metadata", "name"))
        ]
        return manifest, "/".join(name)
    path = FilePath(manifest)
    if not path.exists():
        path = course_manifest(os.fspath(manifest))
    if path.is_dir():
        raise LessonError(
            "A PolicyPanel shows one file",
            seen=f"{path} is a folder",
            try_next=f"one of: {', '.join(sorted(each.name for each in path.glob('*.yaml')))}",
        )
    return path.read_text(encoding="utf-8"), key_of(str(path))
