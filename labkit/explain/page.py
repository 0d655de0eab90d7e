"""An explanation as HTML, for a notebook: nested lists in the page's own colours and font."""

from __future__ import annotations

import html

from labkit.explain.places import Place
from labkit.explain.steps import NEAR_MISS, Step

FEW = 4
"""Near misses that are shown at once; more of them fold away."""
_MUTED = "color:var(--jp-ui-font-color2,inherit)"


def page(request: str, proxy: str, result: str, steps: tuple[Step, ...]) -> str:
    """The whole: the request, the result, and the way as an ordered list. Many near misses fold
    away.
    """
    label = html.escape(f"Why {request} goes where it goes", quote=True)
    return (
        f'<section aria-label="{label}" style="color:var(--jp-ui-font-color1,inherit)">'
        f"<p><code>{html.escape(request)}</code>, at {html.escape(proxy)}"
        f"<br><strong>{html.escape(result)}</strong></p>"
        f"<ol>{''.join(_items(steps))}</ol></section>"
    )


def _items(steps: tuple[Step, ...]) -> list[str]:
    """List items; near misses that stand together are one item that can be opened."""
    found: list[str] = []
    missed: list[str] = []

    def fold() -> None:
        if missed:
            many = f"{len(missed)} near miss{'es' if len(missed) > 1 else ''}"
            rows = "".join(missed)
            shown = " open" if len(missed) <= FEW else ""
            found.append(
                f"<li><details{shown}><summary>{many}: what did not take it, and why</summary>"
                f"<ul>{rows}</ul></details></li>"
            )
            missed.clear()

    for step in steps:
        if step.name == NEAR_MISS:
            missed.append(_item(step))
        else:
            fold()
            found.append(_item(step))
    fold()
    return found


def _item(step: Step) -> str:
    name = "" if step.name == NEAR_MISS else f"<strong>{html.escape(step.name)}</strong> "
    inner = _items(step.parts)
    return (
        f"<li>{name}{html.escape(step.text)}"
        + "".join(map(_place, step.places))
        + (f"<ul>{''.join(inner)}</ul>" if inner else "")
        + "</li>"
    )


def _place(place: Place) -> str:
    return f'<br><span style="{_MUTED}">↳ {html.escape(str(place))}</span>'
