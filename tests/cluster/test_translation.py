"""What the live istiod makes of each lesson's rules is what labkit translates them to."""

from __future__ import annotations

import json

import pytest

from labkit.errors import ManifestError, NotReady
from labkit.resources import load
from labkit.resources.kinds import ISTIO_GROUP
from labkit.resources.model import Key, Resource
from labkit.translate import Registry
from tests.translate.record import RULES, kubectl

from .conftest import MANIFESTS, NAMESPACE, apply
from .live import gateway_pod, items, live_pods, live_registry, wait_equal

BASE = [
    *load(
        MANIFESTS / "02_first_microservice/gateway.yaml",
        MANIFESTS / "02_first_microservice/virtual-service.yaml",
    )
]


def rules_of(name: str) -> list[Resource]:
    """The Istio objects of a manifest; none where it is one that is to be refused (test_verdicts
    looks at those).
    """
    try:
        found = load(MANIFESTS / name)
    except ManifestError:
        return []
    return [r for r in found if ISTIO_GROUP in r.api_version]


CASES = {
    name: rules
    for name in sorted(str(path.relative_to(MANIFESTS)) for path in MANIFESTS.glob("[0-9]*/*.yaml"))
    if (rules := rules_of(name)) and all(r.namespace == NAMESPACE for r in rules)
}


def only_these_rules(rules: list[Resource]) -> None:
    """The namespace's rules are then lesson 2's way in, and these."""
    wanted: dict[Key, Resource] = {r.key: r for r in [*BASE, *rules]}
    live = [Resource(body) for body in items(NAMESPACE, *RULES)]
    for gone in (r for r in live if r.key not in wanted):
        kubectl("-n", NAMESPACE, "delete", f"{gone.kind.lower()}.networking.istio.io/{gone.name}")
    apply(
        json.dumps({"apiVersion": "v1", "kind": "List", "items": [r.body for r in wanted.values()]})
    )


@pytest.mark.parametrize("name", CASES)
def test_istiod_gives_what_labkit_translates(name: str, hello_world: str) -> None:
    only_these_rules(CASES[name])
    pods = live_pods(hello_world)
    client = next(p for p in pods if p.labels["app"] == "client")
    server = next(p for p in pods if p.labels.get("version") == "v1")
    wait_equal(live_registry(hello_world), [gateway_pod(), client, server])


def test_a_difference_is_seen_and_shown(hello_world: str) -> None:
    """The comparison can fail: the translator without the rule that istiod has."""
    only_these_rules(load(MANIFESTS / "03_load_balancing/random.yaml"))
    registry = live_registry(hello_world)
    wait_equal(registry, [gateway_pod()])
    without = Registry(
        (r for r in registry.resources if r.kind != "DestinationRule"),
        registry.pods,
        registry.service_ips,
    )
    with pytest.raises(NotReady, match="RANDOM"):
        wait_equal(without, [gateway_pod()], timeout_s=0.1)


def test_there_are_cases() -> None:
    assert len(CASES) > 10
