"""The table of kinds, against what the API server says of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import labkit.resources
from labkit.resources import kinds

DATA = Path(labkit.resources.__file__).parent / "data"
ISTIO = json.loads((DATA / "istio-schemas.json").read_bytes())
KUBERNETES = json.loads((DATA / "kubernetes-schemas.json").read_bytes())["kinds"]


def test_a_kind_has_one_row() -> None:
    keys = [(row.group, row.kind) for row in kinds.TABLE]
    paths = [(row.group, row.plural) for row in kinds.TABLE]
    assert len(keys) == len(set(keys)) == len(set(paths))


def test_the_kinds_that_run_are_those_with_a_schema() -> None:
    assert {row.kind for row in kinds.RUN} == set(ISTIO) | set(KUBERNETES)
    assert set(kinds.ISTIO_KINDS) == set(ISTIO)


@pytest.mark.parametrize("kind", ISTIO)
def test_istio_names_its_kinds_so(kind: str) -> None:
    row, said = kinds.of(kind), ISTIO[kind]
    assert (row.group, row.plural, list(row.short)) == (
        said["group"],
        said["plural"],
        said["shortNames"],
    )
    assert row.version in said["versions"]


@pytest.mark.parametrize("kind", KUBERNETES)
def test_kubernetes_names_its_kinds_so(kind: str) -> None:
    assert kinds.of(kind).api_version == KUBERNETES[kind]["apiVersion"]


def test_two_groups_may_have_a_kind_of_one_name() -> None:
    assert kinds.of("Gateway").group == kinds.ISTIO_GROUP
    assert kinds.of("Gateway", kinds.GATEWAY_API).api_version == "gateway.networking.k8s.io/v1"
    assert kinds.find("Gateway", "example.com") is None


@pytest.mark.parametrize(
    ("kind", "place", "path"),
    [
        ("Pod", ("default", "a"), "/api/v1/namespaces/default/pods/a"),
        ("Namespace", ("default", "default"), "/api/v1/namespaces/default"),
        ("NetworkPolicy", ("a",), "/apis/networking.k8s.io/v1/namespaces/a/networkpolicies"),
        ("GatewayClass", (), "/apis/gateway.networking.k8s.io/v1/gatewayclasses"),
        ("Endpoints", ("a",), "/api/v1/namespaces/a/endpoints"),
        ("HorizontalPodAutoscaler", (), "/apis/autoscaling/v2/horizontalpodautoscalers"),
        (
            "EnvoyFilter",
            ("a", "b"),
            "/apis/networking.istio.io/v1alpha3/namespaces/a/envoyfilters/b",
        ),
    ],
)
def test_the_paths_are_the_api_servers(kind: str, place: tuple[str, ...], path: str) -> None:
    assert kinds.of(kind).path(*place) == path
