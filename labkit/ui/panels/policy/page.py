"""The PolicyPanel without a browser: plain text for a terminal, HTML without
buttons for an export.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labkit.ui.panels.policy.panel import PolicyPanel

COLOURS = {"+": "background:#cce3f0", "-": "background:#f7dfcc"}


def plain(panel: PolicyPanel) -> str:
    """The text in view with marks for what is not applied, and the findings."""
    state = panel.state
    if not state:
        return "<PolicyPanel>"
    lines = [f"{panel.title}: {', '.join(state['documents']) or 'a text that can not be read'}"]
    lines += [f"  {mark} {line}" for mark, line in shown(panel)]
    lines += [
        f"  line {f['line']}: {f['level']}: {f['what']}; {f['fix']}" for f in state["findings"]
    ]
    lines += [f"  {panel.said}"] if panel.said else []
    return "\n".join(lines)


def page(panel: PolicyPanel) -> str:
    """The same as HTML, with what Envoy got."""
    state = panel.state
    found = "".join(
        f"<li>Line {f['line']}, {f['level']}: {html.escape(f['what'])}; "
        f"{html.escape(f['fix'])}</li>"
        for f in state["findings"]
    )
    rows = [(mark, line) for mark, line in panel.envoy.get("rows", [])]
    return (
        f'<div class="labkit-page"><b>{html.escape(panel.title)}</b>: '
        f"{html.escape(', '.join(state['documents']))}"
        f"{pre(shown(panel))}{f'<ul>{found}</ul>' if found else ''}"
        f"<p>{html.escape(panel.said or 'Nothing was applied from here.')}</p>"
        f"<details><summary>What Envoy got ({html.escape(panel.proxy)}): "
        f"{html.escape(panel.envoy.get('about', ''))}"
        f"</summary>{pre(rows)}</details></div>"
    )


def shown(panel: PolicyPanel) -> list[tuple[str, str]]:
    """The lines in view; where they differ from what is applied, both, with + and -."""
    from labkit.ui.panels.config_dump import marked

    return marked(panel.context.text(panel.yaml).splitlines(), panel.yaml.splitlines())


def pre(rows: Iterable[tuple[str, str]]) -> str:
    """Lines in a box, each behind its mark, so that no colour is needed to read it."""
    lines = "\n".join(
        f'<span style="{COLOURS.get(mark, "")};color:#111">{html.escape(f"{mark} {line}")}</span>'
        if mark in COLOURS
        else html.escape(f"{mark} {line}")
        for mark, line in rows
    )
    return f'<pre style="margin:4px 0">{lines}</pre>'
