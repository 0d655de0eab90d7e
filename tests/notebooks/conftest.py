"""A small course in a folder of its own, so that tests of running lessons need no mesh."""

from __future__ import annotations

from pathlib import Path

import pytest

LESSON = """# %% [markdown]
# # {number} · {title}
#
# ## Objectives
#
# See that it runs.

# %% tags=["parameters", "nbval-ignore-output"]
backend = "embedded"
scale = "small"
seed = 1

# %% [markdown]
# ## A section with <plots>

# %% tags=["nbval-ignore-output"]
from IPython.display import HTML
HTML('<figure class="labkit-plot"><img alt="a plot" src="data:image/png;base64,"></figure>')

# %% tags=["check", "nbval-check-output", "covers-Y1"]
from labkit.lessons import check
check.that({condition}, "the seed is small")

# %% tags=["solution", "nbval-ignore-output"]
secret = 42
"""


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two lessons: the first passes, the second has a check that fails."""
    source = tmp_path / "notebooks" / "source"
    source.mkdir(parents=True)
    (tmp_path / "manifests").mkdir()
    (source / "01_good.py").write_text(LESSON.format(number=1, title="Good", condition="seed < 10"))
    (source / "02_bad.py").write_text(LESSON.format(number=2, title="Bad", condition="seed > 10"))
    monkeypatch.setenv("LABKIT_COURSE", str(tmp_path))
    return tmp_path
