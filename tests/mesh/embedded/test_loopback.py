"""The step from a cluster's addresses to this machine's changes what its docstring lists, and
nothing else.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from labkit.mesh.embedded.loopback import Addresses, to_loopback
from labkit.resources.model import Resource
from labkit.translate import ProxyConfig, registry_of
from tests.translate.recorded import config_of, first_cases

REGISTRY = first_cases()["subset-override"].registry()
V1_IP, V1_SECOND_IP, V2_IP, CLIENT_IP = (pod.ip for pod in REGISTRY.pods)
WHOLE = "outbound|80||hello-world.hello-world.svc.cluster.local"


def addresses(**own: Any) -> Addresses:
    known: dict[str, Any] = {
        "listeners": {"0.0.0.0_8080": 1001, "0.0.0.0_80": 1002, "inbound_8080": 1003},
        "endpoints": {
            (V1_IP, 8080): 2001,
            (V1_SECOND_IP, 8080): 2002,
            (V2_IP, 8080): 2003,
            (CLIENT_IP, 8080): 2004,
        },
        "applications": {8080: 3001},
        "access_log": "/state/access.log",
    }
    return Addresses(**{**known, **own})


def local(proxy: str, **own: Any) -> ProxyConfig:
    return to_loopback(config_of(REGISTRY, proxy), addresses(**own))


def by_name(messages: tuple[dict[str, Any], ...], name: str) -> dict[str, Any]:
    return next(m for m in messages if m.get("name", m.get("cluster_name")) == name)


def manager(listener: dict[str, Any]) -> dict[str, Any]:
    (chain,) = listener["filter_chains"]
    (network_filter,) = chain["filters"]
    config: dict[str, Any] = network_filter["typed_config"]
    return config


@pytest.mark.parametrize("proxy", ["gateway", "sidecar:client", "sidecar:hello-world-v1"])
def test_everything_listens_on_loopback(proxy: str) -> None:
    text = json.dumps([local(proxy).listeners, local(proxy).endpoints])
    assert '"address": "127.0.0.1"' in text
    assert '"address": "0.0.0.0"' not in text
    assert '"address": "10.' not in text


def test_a_listener_keeps_its_name_and_gets_a_port_of_this_machine() -> None:
    (listener,) = local("gateway").listeners
    assert listener["name"] == "0.0.0.0_8080"
    assert listener["address"] == {"socket_address": {"address": "127.0.0.1", "port_value": 1001}}
    assert "bind_to_port" not in listener


def test_a_listener_without_an_address_is_left_out() -> None:
    assert local("gateway", listeners={}).listeners == ()


def test_a_sidecars_outbound_listener_takes_everything_for_http() -> None:
    listener = by_name(local("sidecar:client").listeners, "0.0.0.0_80")
    assert "filter_chain_match" not in listener["filter_chains"][0]
    assert not {"default_filter_chain", "listener_filters"} & listener.keys()
    assert manager(listener)["rds"]["route_config_name"] == "80"


def test_endpoints_are_where_pods_really_listen() -> None:
    (locality,) = by_name(local("gateway").endpoints, WHOLE)["endpoints"]
    ports = [
        row["endpoint"]["address"]["socket_address"]["port_value"]
        for row in locality["lb_endpoints"]
    ]
    assert ports == [2001, 2002, 2003]
    assert locality["load_balancing_weight"] == 3


def test_a_pod_that_is_not_up_is_no_endpoint() -> None:
    (locality,) = by_name(local("gateway", endpoints={(V1_IP, 8080): 2001}).endpoints, WHOLE)[
        "endpoints"
    ]
    assert len(locality["lb_endpoints"]) == 1
    assert locality["load_balancing_weight"] == 1
    assert by_name(local("gateway", endpoints={}).endpoints, WHOLE)["endpoints"] == []


def test_a_sidecar_reaches_its_application_at_its_real_port() -> None:
    cluster = by_name(local("sidecar:hello-world-v1").clusters, "inbound|8080||")
    (locality,) = cluster["load_assignment"]["endpoints"]
    assert cluster["type"] == "STATIC"
    assert (
        locality["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]["port_value"] == 3001
    )
    assert not {"upstream_bind_config", "cleanup_interval"} & cluster.keys()


def test_inbound_requests_go_to_the_application() -> None:
    listener = by_name(local("sidecar:hello-world-v1").listeners, "inbound_8080")
    routes = manager(listener)["route_config"]
    assert routes["name"] == "inbound|8080||"
    assert routes["virtual_hosts"][0]["routes"][0]["route"]["cluster"] == "inbound|8080||"


def test_every_connection_manager_writes_an_access_log() -> None:
    said = {}
    for proxy in ("gateway", "sidecar:hello-world-v1"):
        for listener in local(proxy).listeners:
            (log,) = manager(listener)["access_log"]
            assert log["typed_config"]["path"] == "/state/access.log"
            said[listener["name"]] = log["typed_config"]["log_format"]["json_format"]["direction"]
    assert said == {"0.0.0.0_8080": "gateway", "0.0.0.0_80": "outbound", "inbound_8080": "inbound"}


def test_a_host_that_nobody_has_is_answered_and_not_passed_on() -> None:
    (routes,) = local("sidecar:client").routes
    last = routes["virtual_hosts"][-1]
    assert last["domains"] == ["*"]
    assert last["routes"][0]["direct_response"]["status"] == 502
    assert "PassthroughCluster" not in json.dumps([local("sidecar:client").clusters, routes])


PASSTHROUGH = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "DestinationRule",
    "metadata": {"name": "pass", "namespace": "hello-world"},
    "spec": {"host": "hello-world", "trafficPolicy": {"loadBalancer": {"simple": "PASSTHROUGH"}}},
}


def with_passthrough(proxy: str) -> ProxyConfig:
    objects = [r.body for r in REGISTRY.resources if r.kind != "DestinationRule"]
    registry = registry_of(Resource(o) for o in [*objects, PASSTHROUGH])
    return to_loopback(config_of(registry, proxy), addresses())


def test_a_sidecars_passthrough_is_what_kube_proxy_does() -> None:
    config = with_passthrough("sidecar:client")
    cluster = by_name(config.clusters, WHOLE)
    assert (cluster["type"], cluster["lb_policy"]) == ("EDS", "RANDOM")
    (locality,) = by_name(config.endpoints, WHOLE)["endpoints"]
    assert len(locality["lb_endpoints"]) == 3


def test_a_gateways_passthrough_stays_what_it_is() -> None:
    config = with_passthrough("gateway")
    cluster = by_name(config.clusters, WHOLE)
    assert (cluster["type"], cluster["lb_policy"]) == ("ORIGINAL_DST", "CLUSTER_PROVIDED")
    assert WHOLE not in {e["cluster_name"] for e in config.endpoints}


def test_all_else_stays() -> None:
    before = config_of(REGISTRY, "gateway")
    after = local("gateway")
    assert after.routes == before.routes
    assert after.clusters == before.clusters
