"""Every lesson on the cluster and on the embedded mesh, by papermill, with its solutions: they
pass, and they agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.cli.compare import on_both
from labkit.lessons.notebook.sources import Lesson, lessons
from labkit.mesh.cluster.cleanup.kept_gateway import kept_gateway
from labkit.mesh.cluster.cleanup.leftovers import api_of, remains

from .conftest import claim_hello_world, exists

LESSONS = lessons()


@pytest.fixture(scope="module", autouse=True)
def gateway(kubeconfig: str) -> Iterator[None]:
    """The gateway stays as the lessons need it, from the first one to the last."""
    claim_hello_world()
    with kept_gateway(kubeconfig=kubeconfig, say=lambda text: None):
        yield
    api = api_of(kubeconfig=kubeconfig)
    assert remains(api) == []
    api.close()


def test_there_are_lessons() -> None:
    assert len(LESSONS) >= 12


@pytest.mark.timeout(400)
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: str(lesson.name))
def test_a_lesson_passes_and_tells_the_same_as_on_the_embedded_mesh(
    lesson: Lesson, tmp_path: Path
) -> None:
    found = on_both(lesson, ("embedded", "cluster"), tmp_path)
    for run in (found.left, found.right):
        assert run.failure is None, (
            f"cell {run.failure.cell}: {run.failure.message}\n{run.failure.source}"
        )
        assert run.verdicts
        assert all(verdict.startswith(("PASS", "✔")) for verdict in run.verdicts), run.verdicts
    assert found.agrees, "\n".join(found.explain())
    assert not exists("hello-world")
