"""The linter beside the translator: a rule is said to be ignored exactly when no proxy would miss
it.
"""

from __future__ import annotations

import json
import os
import random
from typing import Any

from labkit.resources import Resource, load
from labkit.resources.lint import lint
from labkit.translate import gateway_config, registry_of, sidecar_config

WORLDS = 1000 if os.environ.get("LABKIT_LONG") else 40


def thing(api_version: str, kind: str, namespace: str, name: str, **rest: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, **({"namespace": namespace} if namespace else {})}
    metadata.update(rest.pop("metadata", {}))
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}


SPACES = ("shop", "infra", "istio-system", "other")
"""The last has no rules: proxies there obey those of others."""


def world() -> list[Resource]:
    """In every namespace a Service that only wildcards stand for, and callers of three kinds, one
    of which no rule names; in one the Service that rules are about.
    """
    made = []
    for namespace in SPACES:
        labels = {"istio-injection": "enabled"}
        made.append(thing("v1", "Namespace", "", namespace, metadata={"labels": labels}))
        for name in ("rest", *(["web"] if namespace == "shop" else [])):
            ports = [{"name": "http", "port": 80}]
            spec: dict[str, Any] = {"selector": {"app": "web"}, "ports": ports}
            made.append(thing("v1", "Service", namespace, name, spec=spec))
        for app in ("web", "api", "idle"):
            template = {
                "metadata": {"labels": {"app": app}},
                "spec": {"containers": [{"name": app, "image": app}]},
            }
            spec = {"selector": {"matchLabels": {"app": app}}, "template": template}
            made.append(thing("apps/v1", "Deployment", namespace, app, spec=spec))
    return load(made)


def drawn(seed: int) -> list[Resource]:
    """Rules of one host, or of wildcards that stand for it, no two of which say the same."""
    draw = random.Random(seed)
    made = []
    for number in range(draw.randint(2, 5)):
        namespace = draw.choice(["shop", "shop", "infra", "istio-system"])
        hosts = ["web.shop.svc.cluster.local"] * 3 + ["*.shop.svc.cluster.local", "*"]
        spec: dict[str, Any] = {"host": draw.choice([*hosts, *["web"] * (namespace == "shop")])}
        if draw.random() < 0.6:
            spec["trafficPolicy"] = pool(number * 10 + 1)
        names = draw.sample(["v1", "v2", "v3"], draw.randint(0 if len(spec) > 1 else 1, 2))
        if names:
            spec["subsets"] = [
                {"name": name, "labels": {"app": "web"}, "trafficPolicy": pool(number * 10 + index)}
                for index, name in enumerate(names, 2)
            ]
        if draw.random() < 0.25:
            spec["workloadSelector"] = {"matchLabels": {"app": draw.choice(["web", "api"])}}
        elif where := draw.choice([None, None, ["."], ["*"], ["infra"], ["shop", "infra"]]):
            spec["exportTo"] = where
        made.append(
            thing(
                "networking.istio.io/v1",
                "DestinationRule",
                namespace,
                f"r{number}",
                spec=spec,
                metadata={"creationTimestamp": f"2026-01-01T00:00:0{draw.randint(0, 5)}Z"},
            )
        )
    return load(made)


def pool(most: int) -> dict[str, Any]:
    return {"connectionPool": {"tcp": {"maxConnections": most}}}


def seen_by_proxies(objects: list[Resource]) -> str:
    registry = registry_of(objects)
    configs = [gateway_config(registry), *(sidecar_config(registry, pod) for pod in registry.pods)]
    return json.dumps([[each.clusters, each.endpoints, each.routes] for each in configs])


def test_ignored_is_what_no_proxy_would_miss() -> None:
    base = world()
    answers = []
    for seed in range(WORLDS):
        rules = drawn(seed)
        found = [each for each in lint(rules, context=base) if each.code == "KIA0201"]
        everything = seen_by_proxies([*base, *rules])
        for rule in rules:
            parts = len(rule.spec.get("subsets", ())) + ("trafficPolicy" in rule.spec)
            told = [each for each in found if each.key == rule.key]
            without = seen_by_proxies([*base, *(each for each in rules if each is not rule)])
            assert (len(told) == parts) == (without == everything), (seed, rule.name, told)
            answers.append(without == everything)
    # both happen often enough for the comparison to say something
    assert min(answers.count(True), answers.count(False)) > 15
