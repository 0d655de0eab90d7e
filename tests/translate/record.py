"""Records what istiod makes of the further cases, on a cluster of one's own.

    KUBECONFIG=… python -m tests.translate.record NAME…       records these cases of `data/further.json` again

The cluster has Istio with its ingress gateway (`istio-ingressgateway` in `istio-system`) and
nothing else, one node, and pods may run `python:3.13-alpine`. The namespaces `hello-world` and
`other` are the recorder's to change. The first recording was made with Istio 1.31 on Kubernetes
1.36. A new case: put its objects into `data/further.json` with `"changes": []`, then record it by
name.
"""  # noqa: E501

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

from labkit.envoy import dump
from labkit.errors import LabkitError
from labkit.jsontypes import Json
from labkit.translate.model import Pod, ProxyConfig
from labkit.translate.normalise import normalised
from labkit.waiting import wait_until

from .recorded import FURTHER, Case, packed_case

NAMESPACE = "hello-world"
RULES = ("destinationrules", "virtualservices", "gateways.networking.istio.io")


def kubectl(*words: str, given: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
    run = subprocess.run(
        ["kubectl", *words], input=given, capture_output=True, text=True, check=False
    )
    if check and run.returncode:
        raise LabkitError(f"kubectl {words[0]} failed", seen=run.stderr.strip())
    return run


def apply(objects: list[Json]) -> list[Json]:
    """Applies one object at a time, strictly; returns what was refused, and why."""
    refused = []
    for one in objects:
        words = ("apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-")
        run = kubectl(*words, given=json.dumps(one), check=False)
        if run.returncode:
            refused.append(
                {"kind": one["kind"], "name": one["metadata"]["name"], "error": run.stderr.strip()}
            )
    return refused


def pods(namespace: str) -> list[Pod]:
    items = json.loads(kubectl("-n", namespace, "get", "pods", "-o", "json").stdout)["items"]
    running = [
        p
        for p in items
        if p["status"].get("phase") == "Running" and "deletionTimestamp" not in p["metadata"]
    ]
    return [
        Pod(p["metadata"]["name"], namespace, p["metadata"]["labels"], p["status"]["podIP"])
        for p in running
    ]


def raw_dump(pod: Pod) -> Json:
    """All that a pod's Envoy tells of its configuration."""
    words = (
        "exec",
        pod.name,
        "-c",
        "istio-proxy",
        "--",
        "pilot-agent",
        "request",
        "GET",
        "config_dump?include_eds",
    )
    text = kubectl("-n", pod.namespace, *words).stdout
    found: Json = json.loads(text[text.index("{") :])
    return found


def config_dump(pod: Pod) -> ProxyConfig:
    said = raw_dump(pod)
    clusters = [*dump.clusters(said), *dump.messages(said, dump.STATIC_CLUSTERS)]
    endpoints = dump.messages(said, dump.ENDPOINTS)
    return ProxyConfig(
        tuple(clusters),
        tuple(endpoints),
        tuple(dump.route_configs(said)),
        tuple(dump.listeners(said)),
    )


def settled(pod: Pod, everyone: list[Pod]) -> Json:
    """The proxy's configuration once two looks, some 0.7 s apart, agree: istiod waits 0.1 s before
    it pushes.
    """
    seen: list[Json] = []

    def same() -> bool:
        seen.append(normalised(config_dump(pod), everyone))
        return len(seen) > 1 and seen[-1] == seen[-2]

    wait_until(same, 30, f"{pod.name} to settle", first_s=0.7, longest_s=0.7)
    return seen[-1]


def with_made_up_addresses(proxies: Json, real: list[Pod], made_up: list[Pod]) -> Json:
    """Pods' addresses, which differ from cluster to cluster, as `registry_of` makes them up: group
    by group.

    Only the listeners of headless Services are named by them.
    """
    waiting = {
        group: [pod.ip for pod in made_up if pod.group == group]
        for group in {pod.group for pod in made_up}
    }
    known = {pod.ip: waiting[pod.group].pop(0) for pod in real if waiting.get(pod.group)}

    address = re.compile(r"(?<![\d.])\d+(?:\.\d+){3}(?![\d.])")
    found: Json = json.loads(
        address.sub(lambda m: known.get(m.group(), m.group()), json.dumps(proxies))
    )
    return found


def record(case: Case) -> Case:
    for kind in RULES:
        kubectl("-n", NAMESPACE, "delete", kind, "--all", "--wait=true")
    refused = apply(case.objects)
    kubectl(
        "-n", NAMESPACE, "wait", "--for=condition=Available", "deploy", "--all", "--timeout=120s"
    )
    everyone = pods(NAMESPACE)
    gateway = next(p for p in pods("istio-system") if p.labels.get("istio") == "ingressgateway")
    client = next(p for p in everyone if p.labels["app"] == "client")
    server = next(p for p in everyone if p.labels.get("version") == "v1")
    chosen = {"gateway": gateway, "sidecar:client": client, "sidecar:hello-world-v1": server}
    proxies = {name: settled(pod, everyone) for name, pod in chosen.items()}
    real = [server, *(pod for pod in everyone if pod != server)]
    made_up = list(Case(case.name, case.objects, refused, {}).registry().pods)
    return Case(case.name, case.objects, refused, with_made_up_addresses(proxies, real, made_up))


def main(names: list[str]) -> None:
    packed = json.loads(FURTHER.read_text())
    for name in names:
        case = packed["cases"][name]
        base = packed["bases"][case["base"]]
        found = record(Case(name, base["objects"] + case["objects"], [], {}))
        packed["cases"][name] = packed_case(found, case["base"], base)
        print(name, "refused" if found.refused else "recorded", flush=True)
    FURTHER.write_text(as_text(packed))


def as_text(packed: Json) -> str:
    """One line a case, so that a change of one is one line of a diff."""

    def lines(things: Json) -> str:
        return ",\n".join(
            f"{json.dumps(key)}: {compact(value)}" for key, value in sorted(things.items())
        )

    def compact(value: Any) -> str:
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    head = f'"istio": {json.dumps(packed["istio"])}'
    return (
        f'{{{head},\n"bases": {{\n{lines(packed["bases"])}\n}},\n"cases": '
        f"{{\n{lines(packed['cases'])}\n}}}}\n"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
