"""Five inputs with other names than the course's, whole: what `labkit translate -o config_dump`
prints of them is what a real istiod gave its proxies.

The recordings (`data/any/`) keep of a dump what traffic management decides; `whole` does the same
with ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labkit.cli import main
from tests.translate.recorded import differences

DATA = Path(__file__).parent / "data" / "any"
NAMES = ("a-all-v1", "a-cors", "a-exportto-dot", "a-front", "a-team-gateway")
PROXIES = ("gateway", "sidecar:bookshop/page-v1", "sidecar:team/api")
HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
NO_MATTER = {
    "@type", "alt_stat_name", "decorator", "eds_cluster_config", "filter_metadata", "filters",
    "max_grpc_timeout", "metadata", "service_name", "stat_prefix", "upstream_bind_config",
    "transport_socket", "transport_socket_matches", "typed_extension_protocol_options",
    "load_assignment",
}  # fmt: skip
ALSO_EMPTY = {"healthy_panic_threshold", "load_balancing_weight", "weight", "cors", "value"}


def plain(value: Any) -> Any:
    """Without what does not matter, and without values that are Envoy's defaults."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {key: plain(each) for key, each in value.items() if key not in NO_MATTER}
    empty: tuple[Any, ...] = ({}, [], None, "", False, 0)
    return {key: each for key, each in kept.items() if key in ALSO_EMPTY or each not in empty}


def parts(dump: Any, kind: str, field: str) -> Iterator[Any]:
    for part in dump["configs"]:
        if part["@type"].endswith(f".{kind}ConfigDump"):
            yield from part.get(field, ())


def whole(dump: Any) -> dict[str, Any]:
    clusters = {}
    endpoints = {}
    for item in parts(dump, "Clusters", "dynamic_active_clusters"):
        cluster = item["cluster"]
        if "load_assignment" in cluster and "|" in cluster["name"]:
            endpoints[cluster["name"]] = groups(cluster["load_assignment"])
        if "|" in cluster["name"]:
            seen = plain(cluster)
            del seen["name"]
            options = plain((cluster.get("typed_extension_protocol_options") or {}).get(HTTP, {}))
            clusters[cluster["name"]] = {
                **seen, **({"http_protocol_options": options} if options else {})
            }  # fmt: skip
    for item in parts(dump, "Endpoints", "dynamic_endpoint_configs"):
        assignment = item["endpoint_config"]
        endpoints[assignment["cluster_name"]] = groups(assignment)
    listeners = {}
    for item in parts(dump, "Listeners", "dynamic_listeners"):
        listener = item["active_state"]["listener"]
        if not 15000 <= listener["address"]["socket_address"]["port_value"] < 15100:
            listeners[listener["name"]] = list(chains(listener))
    named = set(re.findall(r'"http": "([^"]+)"', json.dumps(listeners)))
    routes = {
        item["route_config"]["name"]: [plain(h) for h in item["route_config"]["virtual_hosts"]]
        for item in parts(dump, "Routes", "dynamic_route_configs")
    }
    return {
        "clusters": clusters,
        "endpoints": endpoints,
        "routes": {name: hosts for name, hosts in routes.items() if name in named},
        "listeners": listeners,
    }


def groups(assignment: Any) -> list[Any]:
    found = []
    for group in assignment.get("endpoints", ()):
        row = {"pods": rows(group), "weight": group["load_balancing_weight"]}
        place = (group.get("locality", {}).get(key, "") for key in ("region", "zone", "sub_zone"))
        if said := "/".join(place).rstrip("/"):
            row["locality"] = said
        if group.get("priority"):
            row["priority"] = group["priority"]
        if row["pods"]:
            found.append(row)
    return sorted(found, key=lambda row: json.dumps(row, sort_keys=True))


def rows(group: Any) -> list[Any]:
    return sorted([who(row), row.get("load_balancing_weight", 1)] for row in group["lb_endpoints"])


def who(row: Any) -> str:
    workload, namespace = row["metadata"]["filter_metadata"]["istio"]["workload"].split(";")[:2]
    port = row["endpoint"]["address"]["socket_address"]["port_value"]
    return f"{workload}.{namespace}:{port}"


def chains(listener: Any) -> Iterator[Any]:
    last = listener.get("default_filter_chain")
    for chain in [*listener["filter_chains"], *([last] if last else [])]:
        match = plain(chain.get("filter_chain_match", {}))
        found: dict[str, Any] = {"match": match} if match else {}
        for each in chain["filters"]:
            config = each["typed_config"]
            if "rds" in config:
                found["http"] = config["rds"]["route_config_name"]
            elif each["name"].endswith("tcp_proxy"):
                found["tcp"] = plain(config)
        yield {**found, "default": True} if chain is last else found


def translated(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as left:
        main(["translate", *words])
    captured = capsys.readouterr()
    assert not left.value.code, captured.err
    return captured.out


@pytest.mark.parametrize("name", NAMES)
def test_the_whole_configuration_is_istiods(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = json.loads((DATA / f"{name}.json").read_text())
    file = tmp_path / "objects.json"
    file.write_text(json.dumps(case["objects"]))
    assert set(case["proxies"]) == set(PROXIES)
    for proxy, expected in case["proxies"].items():
        out = translated(capsys, "--proxy", proxy, str(file), "-o", "config_dump")
        assert list(differences(expected, whole(json.loads(out)))) == []


SHOP = str(Path(__file__).parents[1] / "resources/data/cases/translate-other-namespace-shop.yaml")


def test_a_service_of_any_name_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(translated(capsys, "--proxy", "gateway", SHOP))
    assert list(found["clusters"]) == ["outbound|80||api.shop.svc.cluster.local"]
    (host,) = found["routes"]["http.8080"]
    assert host["name"] == "shop.example.com:80"
    assert host["routes"][0]["route"]["timeout"] == "3s"


def test_the_filters_of_a_route_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(__file__).parents[2]
    files = [
        root / "manifests/hello-world.yaml",
        root / "manifests/11_mistake_gallery/gateway.yaml",
    ]
    files.append(Path(SHOP).with_name("cors-header-vs.yaml"))
    found = json.loads(translated(capsys, "--proxy", "gateway", *map(str, files)))
    (host,) = found["routes"]["http.8080"]
    cors = host["routes"][0]["typed_per_filter_config"]["envoy.filters.http.cors"]
    assert cors["allow_methods"] == "GET,POST"
    assert cors["max_age"] == "86400"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["clusters"], "api.shop.svc.cluster.local 80 - outbound EDS"),
        (["routes"], "http.8080 shop.example.com:80 shop.example.com /* api.shop"),
        (["listeners"], "0.0.0.0 8080 ALL Route: http.8080"),
        (["clusters", "--service", "api"], "api.shop.svc.cluster.local 80 - outbound EDS"),
        (["routes", "--port", "80"], "http.8080 shop.example.com:80 shop.example.com /* api.shop"),
        (["clusters", "--port", "81"], ""),
        (["clusters", "--service", "ap"], ""),
        (["endpoints"], ""),
    ],
)
def test_the_tables_of_istioctl(
    words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    head, *rest = translated(capsys, *words, "--proxy", "gateway", SHOP).splitlines()
    assert head.isupper()
    assert [" ".join(each.split()) for each in rest] == ([line] if line else [])


def test_one_part_as_envoys_own_messages(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("routes", "--proxy", "gateway", SHOP)
    (found,) = json.loads(translated(capsys, *words, "-o", "json"))
    assert found["virtual_hosts"][0]["domains"] == ["shop.example.com"]
    assert translated(capsys, *words, "-o", "yaml").startswith("- name: http.8080\n")
    every = translated(capsys, "--proxy", "gateway", SHOP, "-o", "table")
    assert [block.split()[0] for block in every.split("\n\n")] == [
        "SERVICE", "NAME", "ADDRESSES", "ENDPOINT",
    ]  # fmt: skip


def test_incoming_connections_of_a_sidecar_are_one_listener_as_on_a_cluster(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hello = str(Path(__file__).parents[2] / "manifests/hello-world.yaml")
    out = translated(capsys, "listeners", "--proxy", "sidecar:hello-world-v1", hello)
    words = ["0.0.0.0", "15006", "Addr:", "*:8080", "Cluster:", "inbound|8080||"]
    assert out.splitlines()[-1].split() == words


def test_objects_that_no_proxy_hears_of_are_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "account.yaml"
    file.write_text("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a, namespace: shop}\n")
    with pytest.raises(SystemExit) as left:
        main(["translate", "clusters", "--proxy", "gateway", SHOP, str(file)])
    captured = capsys.readouterr()
    assert left.value.code == 0
    assert "api.shop.svc.cluster.local" in captured.out
    assert captured.err.endswith("no proxy hears of them: ServiceAccount\n")
    file.write_text(
        file.read_text().replace("v1", "apps/v1").replace("ServiceAccount", "DaemonSet")
    )
    with pytest.raises(SystemExit) as left:  # it makes pods
        main(["translate", "clusters", "--proxy", "gateway", SHOP, str(file)])
    assert left.value.code == 1
    assert "DaemonSet" in capsys.readouterr().err


PRINTED = Path(__file__).parent / "data" / "proxy-config.txt"
"""What `istioctl proxy-config … --file` printed of our own `-o config_dump` (endpoints: of our
`-o clusters`), of the objects of `mesh-config.json`."""


def test_the_tables_are_those_that_istioctl_makes_of_the_same_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "objects.json"
    objects = json.loads((PRINTED.parent / "mesh-config.json").read_text())["objects"]
    file.write_text(json.dumps(objects))
    tables = re.split(r"^# ", PRINTED.read_text(), flags=re.MULTILINE)[1:]
    assert len(tables) == 8
    for each in tables:
        title, *lines = each.splitlines()
        proxy, view = title.split()
        ours = translated(capsys, view, "--proxy", proxy, str(file)).splitlines()
        assert [line.split() for line in ours] == [line.split() for line in lines], title


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("listeners --service cart", ["0.0.0.0_80", "10.96.9.2_81", "10.96.9.2_82"]),
        ("listeners --service plain.other", ["0.0.0.0_80"]),
        ("listeners --service nobody", []),
        ("listeners --port 82", ["10.96.9.2_82"]),
        ("routes --service cart.shop.svc.cluster.local", ["80", "cart.shop.svc.cluster.local:81"]),
        ("routes --service cart --port 81", ["cart.shop.svc.cluster.local:81"]),
        ("clusters --service cart --port 82", ["outbound|82||cart.shop.svc.cluster.local"]),
        ("endpoints --service cart --port 82", ["outbound|82||cart.shop.svc.cluster.local"]),
        ("endpoints --port 8082", ["outbound|82||cart.shop.svc.cluster.local"]),
        ("endpoints --port 83", []),
    ],
)
def test_a_part_is_chosen_by_service_and_port(
    words: str, names: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "objects.json"
    objects = json.loads((PRINTED.parent / "mesh-config.json").read_text())["objects"]
    file.write_text(json.dumps(objects))
    proxy = ("--proxy", "sidecar:shop/web", str(file))
    found = json.loads(translated(capsys, *words.split(), *proxy, "-o", "json"))
    assert [each.get("name") or each.get("cluster_name") for each in found] == names
    dump = json.loads(translated(capsys, *words.split(), *proxy, "-o", "config_dump"))
    assert sum(len(list(part.values())[1]) for part in dump["configs"]) == len(names)
