"""Generated rules through the real API server, istiod and Envoy: each proxy holds what labkit
translates. So what is compared with istiod's code alone (tests/generated) is what a cluster does.

`LABKIT_SEED=NUMBER LABKIT_POLICIES=1` tries one set again, by the number that a failure tells.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import replace

import pytest

from labkit.cli.manifests.translate import config_dump
from labkit.errors import NotReady
from labkit.resources import load
from labkit.resources.lint import lint
from labkit.resources.model import Key, Resource
from labkit.translate import Pod, Registry, gateway_config, sidecar_config
from labkit.waiting import wait_until
from tests.generated.draw import Draw
from tests.generated.oracle import FOLDER, VARIABLE, counting, offline
from tests.generated.rulesets import World, policies
from tests.generated.test_accepted import TOLD, bodies
from tests.translate.record import RULES, kubectl, raw_dump

from .conftest import apply
from .live import gateway_pod, items, live_pods

COUNT = int(os.environ.get("LABKIT_POLICIES", "50"))
FIRST = int(os.environ.get("LABKIT_SEED", secrets.randbelow(2**40)))
LONGEST_S = 20.0


def rules_of(number: int, homes: list[str]) -> list[Resource]:
    """Rules for the course's Services; none that Envoy refuses, or whose address no pod has."""
    world = World(homes, bodies("Service"), bodies("Deployment"))
    made = policies(Draw(number), world, [homes[0], *homes])
    for each in made:
        for server in each["spec"].get("servers", ()):
            server.pop("bind", None)
    rules = load(made)
    told = TOLD & set(lint(rules).codes)
    return [] if told else rules


def registry_of_cluster(homes: list[str]) -> Registry:
    """What the API server has in these namespaces; who is older decides, so its times count."""
    objects = [body for home in homes for body in items(home, "services", *RULES)]
    addresses = {
        (body["metadata"]["namespace"], body["metadata"]["name"]): body["spec"]["clusterIP"]
        for body in objects
        if body["kind"] == "Service"
    }
    pods = [
        replace(pod, workload=pod.name.rsplit("-", 2)[0])
        for home in homes
        for pod in live_pods(home)
    ]
    return Registry(map(Resource, objects), pods, addresses)


def wait_equal(registry: Registry, pod: Pod) -> str:
    """What is still different when the proxy has had its time; "" where nothing is."""
    known = {each.ip: f"{each.workload}.{each.namespace}" for each in registry.pods}
    own = next((each for each in registry.pods if each.name == pod.name), None)
    config = gateway_config(registry) if own is None else sidecar_config(registry, own)
    ours = counting(config_dump(config, registry), known)
    left: list[str] = []

    def equal() -> bool:
        left[:] = offline().differences(counting(raw_dump(pod), known), ours)
        return not left

    try:
        wait_until(equal, LONGEST_S, f"{pod.name} to hold what labkit translates")
    except NotReady:
        return f"{pod.name}: " + "\n".join(left[:5])
    return ""


def differing(homes: list[str], proxies: list[Pod]) -> list[str]:
    """What each proxy holds otherwise than labkit translates; empty where none does."""
    registry = registry_of_cluster(homes)
    return [said for pod in proxies if (said := wait_equal(registry, pod))]


def removed(keys: set[Key]) -> None:
    for space in {namespace for _, namespace, _ in keys}:
        names = [
            f"{kind.lower()}.networking.istio.io/{name}"
            for kind, namespace, name in keys
            if namespace == space
        ]
        kubectl("-n", space, "delete", *names)


@pytest.mark.timeout(900)
def test_the_cluster_gives_what_labkit_translates(
    hello_world: str, own_namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if not (FOLDER / "offline.py").exists():
        pytest.skip(f"what counts in a dump is said beside istiod's program: {VARIABLE}")
    homes = [hello_world, own_namespace]
    pods = live_pods(hello_world)
    client = next(pod for pod in pods if pod.labels["app"] == "client")
    server = next(pod for pod in pods if pod.labels.get("version") == "v1")
    proxies = [gateway_pod(), client, server]
    with capsys.disabled():
        print(f"\n{COUNT} rule sets, LABKIT_SEED={FIRST}", flush=True)
    wrong, compared, number = [], 0, FIRST
    while compared < COUNT:
        rules = rules_of(number, homes)
        number += 1
        if not rules:
            continue
        apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": [r.body for r in rules]}))
        found = differing(homes, proxies)
        # istiod's incremental push may leave out a sidecar when rules come and go in one push, so
        # each set begins where no rule is, and that is compared too
        removed({rule.key for rule in rules})
        found += differing(homes, proxies)
        wrong += [f"LABKIT_SEED={number - 1} {said}" for said in found]
        compared += 1
    assert not wrong, f"{len(wrong)} proxies differ:\n" + "\n".join(wrong[:5])
