"""A config_dump says which object each cluster was made of, as Istio's does."""

from __future__ import annotations

from labkit.resources import load
from labkit.translate import gateway_config, registry_of

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: a, namespace: shop}
spec: {selector: {app: a}, ports: [{name: http, port: 80}]}
"""
RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: NAME, namespace: shop}
spec: {host: HOST, subsets: [{name: SUBSET, labels: {version: v1}}]}
"""


def rule(name: str, host: str = "a", subset: str = "v1") -> str:
    return RULE.replace("NAME", name).replace("HOST", host).replace("SUBSET", subset)


def origins(*rules: str) -> dict[str, str | None]:
    config = gateway_config(registry_of(load(SERVICE, *rules)))
    return {
        cluster["name"].split("|")[2]: cluster.get("metadata", {})
        .get("filter_metadata", {})
        .get("istio", {})
        .get("config")
        for cluster in config.clusters
        if cluster["name"].startswith("outbound|80|")
    }


def test_clusters_name_their_destination_rule() -> None:
    path = "/apis/networking.istio.io/v1/namespaces/shop/destination-rule/one"
    assert origins(rule("one")) == {"": path, "v1": path}


def test_a_rule_for_another_host_is_not_named() -> None:
    assert origins(rule("one", host="b")) == {"": None}


def test_of_two_rules_the_first_is_named() -> None:
    assert {
        path and path.rpartition("/")[2]
        for path in origins(rule("one"), rule("two", subset="v2")).values()
    } == {"one"}
