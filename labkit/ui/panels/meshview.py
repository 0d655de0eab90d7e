"""`MeshView`: a picture of the mesh that moves while requests pass: who sends to whom, how much,
and who is out.
"""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import traitlets

from labkit.mesh import Mesh
from labkit.ui.panels import picture
from labkit.ui.panels.base import action, work
from labkit.ui.panels.config_dump import Concern, concern
from labkit.ui.panels.live import cells_of
from labkit.ui.panels.watching import WatchingPanel
from labkit.ui.plots.style import css

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Still:
    """One moment of a mesh: the picture, and the table under it."""

    model: dict[str, Any] = field(repr=False)

    @property
    def table(self) -> pd.DataFrame:
        return picture.table(self.model)

    def __repr__(self) -> str:
        return f"The mesh at {self.model['moment']}: {picture.summary(self.model)}"

    def _repr_html_(self) -> str:
        return page(self.model, repr(self))


def page(model: dict[str, Any], told: str) -> str:
    """A picture with its table, as HTML without a script."""
    table = picture.table(model).to_html(index=False, border=0, na_rep="")
    return (
        f"<figure class='labkit-mesh' style='margin:0'><style>{css()}</style>{picture.svg(model)}"
        f"<figcaption>{html.escape(told)}</figcaption>"
        f"<details><summary>The same as a table</summary>{table}</details></figure>"
    )


class MeshView(WatchingPanel):
    """client → gateway → pods by version, as `proxy` sees them: the gateway, or a pod's sidecar.
    Line width: share of the requests in the last seconds; its red part: came to an error;
    crossed out: ejected.

    It looks at the mesh while it is on the screen, about twice a second. Raises what the mesh
    raises when it is made: NotFound for a proxy that is not there. Without a browser:

    >>> view = MeshView(mesh)
    >>> mesh.curl(url, n=20)
    >>> view.look()
    >>> view.table
    >>> print("\\n".join(view.about(f"pod {pod}").envoy))

    A click on a node or on the line to it does the last.
    """

    title = "The mesh"
    scripts = ("live.js", "watching.js", "meshview.js")
    styles = ("live.css", "meshview.css")
    looks = css()

    svg = traitlets.Unicode("").tag(sync=True)
    opened = traitlets.Dict().tag(sync=True)
    """What concerns the part that was clicked: {} or {"part", "title", "objects": [[name, YAML]],
    "envoy"}.
    """

    def __init__(self, mesh: Mesh, *, proxy: str = "gateway") -> None:
        super().__init__(mesh, proxy=proxy)
        self.look()

    @property
    def model(self) -> dict[str, Any]:
        """What is in the picture, as plain data (see labkit.ui.panels.picture)."""
        return picture.model(self.watch)

    @property
    def table(self) -> pd.DataFrame:
        """The same as a frame, a row a pod: pod, version, state, total requests since the panel was
        made, and its share of the requests in the last seconds, in per cent.
        """
        return picture.table(self.model)

    def still(self) -> Still:
        """The picture of this moment, which stays as it is: for a text that speaks of it.

        >>> view.still()
        The mesh at 14:02:03: 12 requests per second from the gateway to 3 pods; …
        """
        return Still(self.model)

    @work("Looking")
    def about(self, part: str) -> Concern:
        """The objects that concern a part of the picture, and what the proxy has for them: "proxy",
        "pod NAME", or "way NAME", the line to it. Raises what the mesh raises.
        """
        seen = self.watch.last or self.watch.look()
        found = concern(self.mesh, self.watch.proxy, seen, part)
        self.opened = found.as_dict()
        return found

    @action
    def shut(self) -> None:
        """Shows nothing of a part any more."""
        self.opened = {}

    def draw(self) -> None:
        model = self.model
        with self.hold_sync():
            self.svg = picture.svg(model, live=self.watching)
            self.caption = picture.summary(model)
            self.cells = cells_of(picture.table(model))

    def text(self) -> str:
        model = self.model
        return f"{picture.summary(model)}\n{picture.table(model).to_string(index=False)}"

    def page(self) -> str:
        return page(self.model, self.status)
