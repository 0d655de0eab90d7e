"""The judges of lesson 11's exercises pass on right answers, and fail with a mistake left, by its
name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import labkit
from labkit.lessons.checks.verdict import CheckFailed
from labkit.lessons.content.exercises.lesson_11 import (
    SOLUTION,
    TASKS,
    insiders_are_left_out,
    nobody_fails,
    one_in_five_fails,
    v2_for_everybody,
)
from labkit.lessons.content.traps import trap
from labkit.lessons.files import manifest, show
from labkit.mesh import Mesh

pytestmark = pytest.mark.embedded
RIGHT = {
    "hello-world-gatway": "hello-world-gateway",
    "subset: version-2": "subset: v2",
    "version: two": "version: v2",
}


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with labkit.open_mesh("embedded") as opened:
        trap("undefined-subset").prepare(opened)
        yield opened


def corrected(*left: str) -> str:
    text = str(show("11_mistake_gallery/exercise.yaml"))
    for wrong, right in RIGHT.items():
        assert text.count(wrong) == 1
        text = text if wrong in left else text.replace(wrong, right)
    return text


@pytest.mark.parametrize("left", RIGHT)
def test_one_mistake_left(mesh: Mesh, left: str) -> None:
    mesh.apply(manifest("11_mistake_gallery/exercise.yaml"))
    mesh.apply(corrected(left))
    with pytest.raises(CheckFailed, match="the linter finds nothing"):
        TASKS["11-2"].judge(mesh)


def test_the_linter_is_content_but_v1_answers_too(mesh: Mesh) -> None:
    mesh.apply(corrected().replace("            subset: v2\n", ""))
    assert not mesh.lint()
    with pytest.raises(CheckFailed, match="only version v2"):
        TASKS["11-2"].judge(mesh)


def test_the_solution(mesh: Mesh) -> None:
    mesh.apply(manifest("11_mistake_gallery/exercise.yaml"))
    exec(compile(ast.parse(SOLUTION), "solution", "exec"), {"mesh": mesh, "show": show})
    assert TASKS["11-2"].judge(mesh)


def test_the_subset_may_have_the_name_that_the_route_wants(mesh: Mesh) -> None:
    text = corrected("subset: version-2")
    mesh.apply(text.replace("- name: v2", "- name: version-2"))
    assert TASKS["11-2"].judge(mesh)


def test_the_lesson_has_the_same_solution() -> None:
    lesson = Path(__file__).resolve().parents[4] / "notebooks" / "source" / "11_mistake_gallery.py"
    assert SOLUTION in lesson.read_text(encoding="utf-8")


def route(*destinations: str, hosts: str = "test.example.com", doors: str = "") -> str:
    where = "".join(f"\n    - {{destination: {{host: hello-world{one}" for one in destinations)
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: hello-world-vs, namespace: hello-world}}
spec:
  hosts: [{hosts}]
  gateways: [{doors or "hello-world-gateway"}]
  http:
  - route:{where}
"""


def subsets(**labels: str) -> str:
    listed = "".join(
        f"\n  - {{name: {name}, labels: {{version: {label}}}}}" for name, label in labels.items()
    )
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: hello-world-dr, namespace: hello-world}}
spec:
  host: hello-world
  subsets:{listed}
"""


V1, V2, CANARY, NONE = (
    f", subset: {name}}}, weight: {weight}}}"
    for name, weight in (("v1", 80), ("v2", 20), ("canary", 20), ("canary", 0))
)


@pytest.mark.parametrize(
    "right",
    [
        str(show("11_mistake_gallery/canary.yaml")),
        subsets(v1="v1", canary="v2"),
        subsets(v1="v1", v2="v2", canary="v2"),
    ],
    ids=["the route names v2", "the subset is there", "and another one too"],
)
def test_the_canary_answers(mesh: Mesh, right: str) -> None:
    one_in_five_fails(mesh)
    mesh.apply(right)
    assert nobody_fails(mesh)


@pytest.mark.parametrize(
    ("near", "words"),
    [
        ("", "NC: the route leads to a subset or a host that is nowhere"),
        (subsets(v1="v1", canary="canary"), "UH: there is such a subset, but no pod has its"),
        ("gone", "NR: no route is left"),
        (route(V1.replace("80", "100"), NONE), "no request fails, but it finds: .*canary"),
        (route(", subset: v1}}"), "v2"),
        (route(V1.replace("80", "50"), V2.replace("20", "50")), "v2"),
    ],
    ids=["nothing done", "no such pods", "deleted", "weight 0", "no canary", "half"],
)
def test_the_canary_fails(mesh: Mesh, near: str, words: str) -> None:
    one_in_five_fails(mesh)
    if near == "gone":
        mesh.delete("VirtualService", "hello-world-vs")
    elif near:
        mesh.apply(near)
    with pytest.raises(CheckFailed, match=words):
        nobody_fails(mesh)


ALL = ", subset: v2}}"
NAME, WHOLE = "test.example.com, hello-world", "hello-world.hello-world.svc.cluster.local"
BOTH = "hello-world-gateway, mesh"


@pytest.mark.parametrize(
    "right",
    [
        str(show("11_mistake_gallery/everybody.yaml")),
        route(ALL, hosts=f"test.example.com, {WHOLE}", doors=BOTH),
        route(ALL, hosts="hello-world", doors="mesh").replace("hello-world-vs", "inside"),
    ],
    ids=["both in one", "by its full name", "a second VirtualService"],
)
def test_everybody_gets_v2(mesh: Mesh, right: str) -> None:
    insiders_are_left_out(mesh)
    mesh.apply(right)
    assert v2_for_everybody(mesh)
    assert not mesh.lint()


@pytest.mark.parametrize(
    ("near", "words"),
    [
        ("", "from inside .* No VirtualService has the host of http://hello-world/"),
        (route(ALL, doors=BOTH), "No VirtualService has the host of http://hello-world/"),
        (route(ALL, hosts=NAME), "`gateways` of hello-world-vs does not say mesh"),
        (route(ALL, hosts="hello-world", doors="mesh"), "from outside .* statuses: .*404"),
        (route(", subset: v1}}", hosts=NAME, doors=BOTH), "from outside"),
        ("hello-world-v1", "hello-world-v1 must go on"),
        ("client", "client must go on"),
    ],
    ids=["nothing done", "mesh alone", "host alone", "inside alone", "v1", "no v1", "no client"],
)
def test_not_everybody_gets_v2(mesh: Mesh, near: str, words: str) -> None:
    insiders_are_left_out(mesh)
    assert not mesh.lint(), "no linter can know it"
    if near in ("hello-world-v1", "client"):
        mesh.scale(near, 0)
    elif near:
        mesh.apply(near)
    with pytest.raises(CheckFailed, match=words):
        v2_for_everybody(mesh)
