"""What a control plane knows: pods, addresses, ages; and what that does to a configuration."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from labkit.errors import UnsupportedError
from labkit.jsontypes import Json
from labkit.resources.model import Resource
from labkit.translate import Pod, Registry, gateway_config, registry_of, sidecar_config
from labkit.translate.services.service import is_visible

from .recorded import first_cases

OBJECTS = first_cases()["nothing"].objects
WHOLE = "outbound|80||hello-world.hello-world.svc.cluster.local"


def registry(*more: Json, objects: list[Json] = OBJECTS) -> Registry:
    return registry_of([Resource(copy.deepcopy(o)) for o in [*objects, *more]])


def with_pods(found: Registry, pods: Iterable[Pod]) -> Registry:
    return Registry(found.resources, pods, found.service_ips)


def rule(name: str, simple: str, created: str = "", **spec: Any) -> Json:
    metadata = {"name": name, "namespace": "hello-world"}
    if created:
        metadata["creationTimestamp"] = created
    policy = {"loadBalancer": {"simple": simple}}
    return {
        "kind": "DestinationRule",
        "metadata": metadata,
        "spec": {"host": "hello-world", "trafficPolicy": policy},
    }


def policy_of(found: Registry) -> str:
    return str(next(c for c in gateway_config(found).clusters if c["name"] == WHOLE)["lb_policy"])


def rows_of(found: Registry) -> list[tuple[str, str]]:
    assignment = next(e for e in gateway_config(found).endpoints if e["cluster_name"] == WHOLE)
    return [
        (row["endpoint"]["address"]["socket_address"]["address"], row["health_status"])
        for locality in assignment.get("endpoints", [])
        for row in locality["lb_endpoints"]
    ]


def test_pods_are_made_of_deployments() -> None:
    found = registry()
    assert [pod.name for pod in found.pods] == [
        "hello-world-v1-1",
        "hello-world-v1-2",
        "hello-world-v2-1",
        "client-1",
    ]
    assert [pod.group for pod in found.pods] == [
        "hello-world-v1",
        "hello-world-v1",
        "hello-world-v2",
        "client",
    ]
    assert len({pod.ip for pod in found.pods}) == 4
    assert all(pod.injected for pod in found.pods)


def test_a_namespace_without_the_label_has_pods_without_sidecars() -> None:
    assert not any(pod.injected for pod in registry(objects=OBJECTS[1:]).pods)


def test_a_pod_alone_is_a_pod_too() -> None:
    container = {"name": "a", "image": "b", "ports": [{"containerPort": 9090, "name": "web"}]}
    metadata = {"name": "alone", "namespace": "hello-world", "labels": {"app": "hello-world"}}
    pod = registry({"kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}).pods[
        -1
    ]
    assert (pod.name, pod.named_ports, pod.containers_ports) == ("alone", {"web": 9090}, (9090,))


def test_a_port_of_a_name_is_one_of_its_transport_also_of_a_container_that_stays() -> None:
    def container(name: str, port: int, **more: str) -> Json:
        return {"name": name, "ports": [{"containerPort": port, "name": "web"} | more]}

    pod: Json = {"kind": "Pod", "metadata": {"name": "pod"}, "spec": {}}
    spec = pod["spec"]
    spec["containers"] = [container("dns", 53, protocol="UDP"), container("app", 80)]
    assert registry(pod).pods[-1].named_ports == {"web": 80, "web/UDP": 53}
    spec["containers"].append(container("second", 81))
    assert registry(pod).pods[-1].named_ports == {"web": 80, "web/UDP": 53}
    spec["containers"] = [container("dns", 53, protocol="UDP")]
    spec["initContainers"] = [container("first", 82), container("stays", 83)]
    assert registry(pod).pods[-1].named_ports == {"web/UDP": 53}
    spec["initContainers"][1]["restartPolicy"] = "Always"
    assert registry(pod).pods[-1].named_ports == {"web": 83, "web/UDP": 53}


def test_services_without_an_address_get_one() -> None:
    first, second = copy.deepcopy(OBJECTS[2]), copy.deepcopy(OBJECTS[2])
    first["metadata"]["name"], second["metadata"]["name"] = "first", "second"
    for service in (first, second):
        del service["spec"]["clusterIP"]
    fixed = copy.deepcopy(OBJECTS[2])
    fixed["metadata"]["name"] = "fixed"
    fixed["spec"]["clusterIP"] = "10.96.1.2"
    assert registry(first, fixed, second).service_ips == {
        ("hello-world", "hello-world"): "10.96.230.27",
        ("hello-world", "first"): "10.96.1.1",
        ("hello-world", "fixed"): "10.96.1.2",
        ("hello-world", "second"): "10.96.1.3",
    }


def test_a_pod_that_is_not_ready_is_sent_as_unhealthy() -> None:
    found = registry()
    first = replace(found.pods[0], ready=False)
    assert rows_of(with_pods(found, [first, *found.pods[1:]])) == [
        (first.ip, "UNHEALTHY"),
        (found.pods[1].ip, "HEALTHY"),
        (found.pods[2].ip, "HEALTHY"),
    ]


def test_but_not_where_panic_mode_would_use_it() -> None:
    panic = rule("panic", "RANDOM")
    panic["spec"]["trafficPolicy"]["outlierDetection"] = {"minHealthPercent": 50}
    found = registry(panic)
    first = replace(found.pods[0], ready=False)
    assert first.ip not in dict(rows_of(with_pods(found, [first, *found.pods[1:]])))


def test_the_older_rule_wins_whatever_the_names() -> None:
    old, new = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"
    assert (
        policy_of(registry(rule("b", "RANDOM", old), rule("a", "LEAST_REQUEST", new))) == "RANDOM"
    )
    assert (
        policy_of(registry(rule("b", "RANDOM", new), rule("a", "LEAST_REQUEST", old)))
        == "LEAST_REQUEST"
    )


def test_of_rules_made_in_the_same_second_the_alphabet_decides() -> None:
    assert policy_of(registry(rule("b", "RANDOM"), rule("a", "LEAST_REQUEST"))) == "LEAST_REQUEST"


def test_nothing_that_is_given_is_changed() -> None:
    found = first_cases()["subset-pool-replaces"]
    before = copy.deepcopy(found.objects)
    made = found.registry()
    gateway_config(made)
    for pod in made.pods:
        sidecar_config(made, pod)
    assert found.objects == before


def test_the_same_registry_gives_the_same_configuration() -> None:
    made = first_cases()["canary"].registry()
    assert gateway_config(made) == gateway_config(made)
    assert sidecar_config(made, made.pods[0]) == sidecar_config(
        first_cases()["canary"].registry(), made.pods[0]
    )


def test_a_stranger_pod_gets_a_configuration_too() -> None:
    stranger = Pod("x", "other", {"app": "x"}, "10.244.9.9")
    (routes,) = sidecar_config(registry(), stranger).routes
    assert "hello-world" not in routes["virtual_hosts"][0]["domains"]
    assert "hello-world.hello-world" in routes["virtual_hosts"][0]["domains"]


@pytest.mark.parametrize("attempts", [40])
def test_translation_is_felt_as_instant(attempts: int) -> None:
    """Five proxies in less than 20 ms at best (measured: 1.2 ms), so that `apply` waits for Envoy
    and not for us.
    """
    objects = [Resource(o) for o in first_cases()["subset-pool-replaces"].objects]

    def once() -> float:
        start = time.perf_counter()
        made = registry_of(objects)
        gateway_config(made)
        for pod in made.pods:
            sidecar_config(made, pod)
        return time.perf_counter() - start

    assert min(once() for _ in range(attempts)) < 0.02


@pytest.mark.parametrize(
    ("export_to", "own", "other"),
    [
        ([], True, True),
        (["*"], True, True),
        (["."], True, False),
        (["other"], False, True),
        (["~"], False, False),
        (["~", "."], False, False),
        (["other", "~"], False, False),
        (["*", "~"], True, True),
    ],
)
def test_who_sees_what_is_exported(export_to: list[str], own: bool, other: bool) -> None:
    """As istiod sorts its Services (`initServiceRegistry`): `*` first, then `~`, then names."""
    seen = [is_visible(export_to, "own", namespace) for namespace in ("own", "other")]
    assert seen == [own, other]


def test_an_entry_with_the_host_of_a_service_of_its_namespace_is_refused_by_name() -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"ports": [{"port": 80}]},
    }
    entry: Json = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"hosts": ["web.shop.svc.cluster.local"], "ports": [{"number": 80, "name": "a"}]},
    }
    with pytest.raises(UnsupportedError, match=r"ServiceEntry shop/web, spec.hosts: web.shop.svc"):
        registry_of([Resource(service), Resource(entry)])
    entry["metadata"]["namespace"] = "other"
    assert len(registry_of([Resource(service), Resource(entry)]).services) == 2
