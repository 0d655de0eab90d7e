"""How a manifest is shown: in a fixed-width font, in JupyterLab and in the pages made of a lesson."""

from __future__ import annotations

import re

from labkit.lessons import show
from labkit.lessons.notebook.report import markdown


def test_a_manifest_has_a_fixed_width_font_in_a_page_too() -> None:
    listing = show("03_load_balancing/random.yaml")
    assert repr(listing) == str(listing)
    page = markdown(listing._repr_markdown_())
    around, inside = re.fullmatch(
        r"<div style=\"([^\"]*)\">\s*(.*)\s*</div>\s*", page, re.S
    ).groups()  # type: ignore[union-attr]
    assert "monospace" in around
    assert inside.startswith('<div class="highlight"><pre>')
    assert "apiVersion" in inside
