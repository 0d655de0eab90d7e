"""What Envoy got for one object, out of a config_dump, and which of its lines are new."""

from __future__ import annotations

from typing import Any

from labkit.ui.panels.config_dump import UNWRITTEN, envoy_lines, marked

RULE = {
    "kind": "DestinationRule",
    "metadata": {"name": "dr", "namespace": "n"},
    "spec": {"host": "a"},
}
ROUTE = {"kind": "VirtualService", "metadata": {"name": "vs", "namespace": "n"}}


def cluster(name: str, **more: Any) -> dict[str, Any]:
    return {
        "cluster": {"@type": "x", "name": name, "eds_cluster_config": {"x": 1}, **more},
        "last_updated": "now",
    }


def route(made_of: str, **to: Any) -> dict[str, Any]:
    path = f"/apis/networking.istio.io/v1/namespaces/n/virtual-service/{made_of}"
    return {"route": to, "metadata": {"filter_metadata": {"istio": {"config": path}}}}


DUMP = {
    "configs": [
        {
            "dynamic_active_clusters": [
                cluster("outbound|80||a.n.svc.cluster.local", lb_policy="RANDOM"),
                cluster("outbound|80|v1|a.n.svc.cluster.local"),
                cluster("outbound|80||b.n.svc.cluster.local"),
                cluster("inbound|80||", lb_policy="X"),
            ]
        },
        {
            "dynamic_route_configs": [
                {
                    "route_config": {
                        "virtual_hosts": [
                            {
                                "name": "h:80",
                                "routes": [
                                    route("vs", cluster="outbound|80||a.n.svc.cluster.local"),
                                    route("other", cluster="outbound|80||b.n.svc.cluster.local"),
                                    route(
                                        "shop-vs",
                                        weighted_clusters={
                                            "clusters": [
                                                {
                                                    "name": "outbound|80|v1|a.n.svc.cluster.local",
                                                    "weight": 1,
                                                }
                                            ]
                                        },
                                    ),
                                ],
                            }
                        ]
                    }
                }
            ]
        },
    ]
}


def test_a_rule_has_the_clusters_of_its_host_and_the_routes_that_lead_there() -> None:
    lines = envoy_lines(DUMP, RULE)
    assert [line for line in lines if line.startswith("# ")] == [
        "# cluster outbound|80||a.n.svc.cluster.local",
        "# cluster outbound|80|v1|a.n.svc.cluster.local",
        UNWRITTEN,
        "# route of h:80",
        "# route of h:80",
    ]
    assert "lb_policy: RANDOM" in lines
    assert not any("eds_cluster_config" in line or "@type" in line for line in lines)


def test_a_virtual_service_has_the_routes_made_of_it_and_no_other() -> None:
    lines = envoy_lines(DUMP, ROUTE)
    assert sum(line.startswith("# ") for line in lines) == 1
    assert not any("shop-vs" in line for line in lines)


def test_other_objects_have_none() -> None:
    assert envoy_lines(DUMP, {"kind": "Gateway"}) == []
    assert envoy_lines({}, RULE) == []


def test_new_and_old_lines_are_marked() -> None:
    assert marked(["a", "b", "c"], ["a", "x", "c", "d"]) == [
        (" ", "a"),
        ("-", "b"),
        ("+", "x"),
        (" ", "c"),
        ("+", "d"),
    ]
    assert marked([], ["a"]) == [("+", "a")]
