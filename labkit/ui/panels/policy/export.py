"""The PolicyPanel without a browser: plain text for a terminal, HTML without
buttons for an export.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any

from labkit.ui.panels.policy.state import MarkedLine, PolicyState

COLOURS = {"+": "background:#cce3f0", "-": "background:#f7dfcc"}


def plain(title: str, state: PolicyState, said: str) -> str:
    """The text in view with marks for what is not applied, the findings, and what the last Apply
    did.
    """
    names = ", ".join(state.documents) or "a text that can't be read"
    lines = [f"{title}: {names}"]
    lines += [f"  {mark} {line}" for mark, line in state.lines]
    lines += [f"  line {f.line}: {f.level}: {f.what}; {f.fix}" for f in state.findings]
    lines += [f"  {said}"] if said else []
    return "\n".join(lines)


def page(title: str, state: PolicyState, said: str, envoy: Mapping[str, Any]) -> str:
    """The same as HTML, with what Envoy got (`PolicyPanel.envoy`)."""
    found = "".join(
        f"<li>Line {f.line}, {f.level}: {html.escape(f.what)}; {html.escape(f.fix)}</li>"
        for f in state.findings
    )
    return (
        f'<div class="labkit-page"><b>{html.escape(title)}</b>: '
        f"{html.escape(', '.join(state.documents))}"
        f"{pre(state.lines)}{f'<ul>{found}</ul>' if found else ''}"
        f"<p>{html.escape(said or 'Nothing has been applied from this panel.')}</p>"
        f"<details><summary>What Envoy got ({html.escape(envoy['proxy'])}): "
        f"{html.escape(envoy['about'])}"
        f"</summary>{pre(envoy['rows'])}</details></div>"
    )


def pre(rows: Iterable[MarkedLine]) -> str:
    """Lines in a box, each behind its mark, so that no colour is needed to read it."""
    lines = "\n".join(
        f'<span style="{COLOURS.get(mark, "")};color:#111">{html.escape(f"{mark} {line}")}</span>'
        if mark in COLOURS
        else html.escape(f"{mark} {line}")
        for mark, line in rows
    )
    return f'<pre style="margin:4px 0">{lines}</pre>'
