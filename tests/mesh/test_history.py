"""A mesh says what was changed, and since when."""

from __future__ import annotations

import time

import pytest

from labkit.errors import LabkitError
from labkit.mesh import Mesh
from labkit.mesh.history import History
from tests.mesh.conftest import HELLO, rule

pytestmark = pytest.mark.embedded


def test_each_change_is_noted_in_kubectls_words(mesh: Mesh) -> None:
    known = len(mesh.history)
    mesh.apply(rule("{loadBalancer: {simple: RANDOM}}"))
    mesh.apply(rule("{loadBalancer: {simple: LEAST_REQUEST}}"))
    mesh.apply(HELLO)
    mesh.scale("hello-world-v1", 1)
    mesh.delete("DestinationRule", "hello-world-dr")
    assert [change.what for change in mesh.history[known:]] == [
        "destinationrule/hello-world-dr created",
        "destinationrule/hello-world-dr configured",
        "nothing new",
        "hello-world-v1 scaled to 1",
        "destinationrule/hello-world-dr deleted",
    ]


def test_the_instant_is_the_one_since_which_every_proxy_holds_it(mesh: Mesh) -> None:
    before = time.time()
    mesh.apply(rule("{loadBalancer: {simple: RANDOM}}"))
    assert before - 1 < mesh.history[-1].at < time.time() + 1
    later = mesh.history[-1].at
    mesh.apply(rule("{loadBalancer: {simple: ROUND_ROBIN}}"))
    assert mesh.history[-1].at > later


def test_what_was_refused_is_not_in_it(mesh: Mesh) -> None:
    known = len(mesh.history)
    with pytest.raises(LabkitError):
        mesh.apply(rule("{loadBalancer: {simple: NO_SUCH}}"))
    assert len(mesh.history) == known


def test_of_several_objects_the_first_new_one_is_named() -> None:
    history = History()
    history.note(["namespace/shop unchanged", "service/shop created", "deployment/shop created"])
    assert history[0].what == "service/shop created, and 1 more"
    assert repr(history).endswith("  service/shop created, and 1 more")
    assert repr(History()) == "Nothing was applied yet."
