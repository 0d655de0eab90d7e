"""A change is written, enforced, and taken back where it is refused: once for every mesh, so it is
tested on one that is a dict.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from unittest.mock import MagicMock

import pytest

from labkit.errors import ConfigRejected, MeshError, NotFound, NotReady, ValidationError
from labkit.mesh import Mesh
from labkit.mesh.cluster.objects import ClusterObjects
from labkit.mesh.lookup import only_one
from labkit.resources import Resource
from labkit.resources.model import Key

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web", "old": "1"}},
    "spec": {"replicas": 1, "template": {}},
}
RULE = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "DestinationRule",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"host": "web"},
}
SPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}


class DictMesh(Mesh):
    """Objects by key; `fails` is raised when they are enforced."""

    _LATE = (NotReady,)

    def __init__(self, *bodies: dict[str, Any]) -> None:
        self.kept = {r.key: r for r in map(Resource, copy.deepcopy(bodies))}
        self.deleted: list[Key] = []
        self.enforced: list[Sequence[Key]] = []
        self.fails: Exception | None = None

    def check_open(self) -> None: ...

    def objects(self) -> list[Resource]:
        return list(self.kept.values())

    def _find(self, kind: str, name: str, namespace: str | None) -> Resource:
        found = [r for r in self.kept.values() if (r.kind, r.name) == (kind, name)]
        return only_one(found, kind, name, namespace, lambda: ())

    def _to_change(self, kind: str, name: str, namespace: str | None) -> dict[str, Any]:
        return copy.deepcopy(self._find(kind, name, namespace).body)

    def _write_one(self, resource: Resource) -> tuple[str, Iterable[str]]:
        if resource.name == "refused":
            raise ValidationError("no")
        self.kept[resource.key] = resource
        return "configured", ("careful", "careful")

    def _delete_one(self, key: Key) -> bool:
        self.deleted.append(key)
        return self.kept.pop(key, None) is not None

    def _checkpoint(self, keys: Sequence[Key]) -> Callable[[], None]:
        before = dict(self.kept)

        def undo() -> None:
            self.kept = before

        return undo

    def _enforce(
        self, keys: Sequence[Key], began: float, *, wait: bool, timeout_s: float
    ) -> dict[str, float]:
        self.enforced.append(keys)
        if self.fails:
            raise self.fails
        return {"gateway": 1.0}


DictMesh.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]


def other_rule(name: str) -> Resource:
    return Resource({**RULE, "metadata": {"name": name, "namespace": "shop"}})


@pytest.mark.parametrize("error", [ConfigRejected("no"), KeyboardInterrupt()])
def test_what_a_proxy_refuses_is_taken_back(error: Exception) -> None:
    mesh = DictMesh(RULE)
    before, mesh.fails = dict(mesh.kept), error
    with pytest.raises(type(error)):
        mesh._put([other_rule("new")])
    assert mesh.kept == before
    with pytest.raises(type(error)):
        mesh.delete("dr", "web")
    assert mesh.kept == before
    assert len(mesh.history) == 0


def test_of_several_objects_none_stays_when_the_last_is_refused() -> None:
    mesh = DictMesh(RULE)
    before = dict(mesh.kept)
    with pytest.raises(ValidationError):
        mesh._put([other_rule("new"), other_rule("refused")])
    assert mesh.kept == before
    assert mesh.enforced == []


def test_what_is_only_late_stays() -> None:
    mesh = DictMesh()
    mesh.fails = NotReady("not yet")
    with pytest.raises(NotReady):
        mesh._put([other_rule("new")])
    assert [key[2] for key in mesh.kept] == ["new"]


def test_the_lines_are_kubectls_and_a_warning_is_given_once() -> None:
    mesh = DictMesh()
    applied = mesh._put([other_rule("a"), other_rule("b")])
    assert applied.lines == ("destinationrule/a configured", "destinationrule/b configured")
    assert applied.warnings == ("careful",)
    assert applied.propagation_ms == {"gateway": 1.0}
    assert mesh.history[-1].what == "destinationrule/a configured, and 1 more"


def test_what_is_in_a_namespace_goes_before_it_and_is_not_waited_for() -> None:
    mesh = DictMesh(SPACE, RULE)
    keys = [("Namespace", "", "shop"), Resource(RULE).key, ("Service", "shop", "absent")]
    applied = mesh._remove(keys)
    assert mesh.deleted[-1] == keys[0]
    assert applied.lines == ("namespace/shop deleted", "destinationrule/web deleted")
    assert mesh.enforced == [[keys[0]]]


def test_nothing_to_apply() -> None:
    with pytest.raises(MeshError, match="nothing to apply"):
        DictMesh()._put([])


def test_labels_are_set_and_removed_and_others_stay() -> None:
    mesh = DictMesh(DEPLOYMENT)
    applied = mesh.label("deploy", "web", {"new": "2", "old": None, "never": None})
    assert applied.lines == ("deployment/web labeled",)
    assert mesh.resource("deploy", "web").labels == {"app": "web", "new": "2"}


def test_scale_and_restart_change_one_field() -> None:
    mesh = DictMesh(DEPLOYMENT)
    assert mesh.scale("web", 3).lines == ("deployment.apps/web scaled",)
    assert mesh.resource("deploy", "web").spec == {"replicas": 3, "template": {}}
    assert mesh.restart("web").lines == ("deployment.apps/web restarted",)
    template = mesh.resource("deploy", "web").spec["template"]
    assert list(template["metadata"]["annotations"]) == ["kubectl.kubernetes.io/restartedAt"]
    assert [c.what for c in mesh.history] == ["web scaled to 3", "web restarted"]
    with pytest.raises(NotFound):
        mesh.scale("other", 1)


def test_on_a_cluster_only_rules_are_put_back() -> None:
    api, ledger = MagicMock(), MagicMock()
    api.apply.side_effect = lambda resource: ("configured", resource.body, ())
    objects = ClusterObjects(api, ledger)
    for body in (DEPLOYMENT, RULE):
        objects.put(Resource(copy.deepcopy(body)))
    deployment, rule, new = Resource(DEPLOYMENT), Resource(RULE), other_rule("new")
    undo = objects.checkpoint([deployment.key, rule.key, new.key])
    objects.put(Resource({**DEPLOYMENT, "spec": {"replicas": 2}}))
    objects.put(Resource({**RULE, "spec": {"host": "other"}}))
    objects.put(new)
    api.reset_mock()
    undo()
    assert [call.args[0].body["spec"] for call in api.apply.call_args_list] == [RULE["spec"]]
    assert [call.args[0] for call in api.delete.call_args_list] == [objects.path(new.key)]
    assert objects.applied[rule.key]["spec"] == RULE["spec"]
    assert new.key not in objects.applied


def test_on_a_cluster_a_deleted_rule_comes_back_unless_its_namespace_goes() -> None:
    api = MagicMock()
    api.apply.side_effect = lambda resource: ("configured", resource.body, ())
    objects = ClusterObjects(api, MagicMock())
    rule = Resource(copy.deepcopy(RULE))
    for keys, comes_back in (([rule.key], 1), ([rule.key, ("Namespace", "", "shop")], 0)):
        objects.put(rule)
        undo = objects.checkpoint(keys)
        objects.remove(rule.key)
        api.reset_mock()
        undo()
        assert api.apply.call_count == comes_back


def landed(spec: dict[str, Any], kind: str = "DestinationRule", **metadata: str) -> tuple[str, ...]:
    """What is warned of when an object is applied beside the Service shop/web and its Gateway."""
    service = {"apiVersion": "v1", "kind": "Service", "metadata": SPACED, "spec": {"ports": [PORT]}}
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["a.example"]}
    gateway = {**RULE, "kind": "Gateway", "spec": {"servers": [server]}}
    mesh = DictMesh(SPACE, service, gateway)
    body = {**RULE, "kind": kind, "metadata": {"name": "mine", **metadata}, "spec": spec}
    return tuple(text for text in mesh.apply(body).warnings if text != "careful")


PORT = {"name": "http", "port": 80}
SPACED = {"name": "web", "namespace": "shop"}
ROUTE = [{"route": [{"destination": {"host": "web.shop.svc.cluster.local"}}]}]


@pytest.mark.parametrize(
    ("kind", "spec", "missing"),
    [
        ("DestinationRule", {"host": "web"}, "there is no Service web.default"),
        (
            "VirtualService",
            {"hosts": ["a.example"], "gateways": ["web"], "http": ROUTE},
            "there is no Gateway web in namespace default",
        ),
    ],
)
def test_what_lands_in_default_unasked_and_unused_says_so(
    kind: str, spec: dict[str, Any], missing: str
) -> None:
    (said,) = landed(spec, kind)
    assert said.startswith(f"{kind.lower()}/mine names no namespace, so it is in `default`")
    assert missing in said
    assert "shop" in said, "what to write instead"
    assert not landed(spec, kind, namespace="shop")
    assert not landed(spec, kind, namespace="default"), "it was asked for"


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("DestinationRule", {"host": "web.shop.svc.cluster.local"}),
        ("VirtualService", {"hosts": ["a.example"], "gateways": ["shop/web"], "http": ROUTE}),
    ],
)
def test_what_is_used_from_default_is_not_warned_of(kind: str, spec: dict[str, Any]) -> None:
    assert not landed(spec, kind)
