"""`labkit translate`: the Envoy configuration that Istio makes of manifests, in the manner of
`istioctl proxy-config`.

labkit translate --proxy gateway shop.yaml                     # what counts, as JSON
labkit translate routes --proxy gateway shop.yaml --port 80    # one of four tables
labkit translate --proxy gateway shop.yaml -o config_dump      # Envoy's own shape, whole
labkit translate routes --proxy sidecar:web --set outboundTrafficPolicy.mode=REGISTRY_ONLY shop.yaml
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from labkit.cli.terminal import read_stdin
from labkit.envoy.dump import clusters_of, dump_of
from labkit.errors import NotFound, ParseError
from labkit.jsontypes import Json
from labkit.resources import Resource, kinds, load, load_text, mesh_config
from labkit.resources.rules.shape import has_shape
from labkit.resources.yaml.loading import read_text
from labkit.translate import (
    Pod,
    Registry,
    check_supported,
    fates,
    gateway_config,
    registry_of,
    sidecar_config,
)
from labkit.translate.model import ProxyConfig
from labkit.translate.normalise import normalised
from labkit.translate.on_a_cluster import as_on_a_cluster, with_workloads
from labkit.translate.settings import without_effect
from labkit.translate.tables import VIEWS, chosen, table

STDIN = "-"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--proxy",
        required=True,
        metavar="gateway|sidecar:DEPLOYMENT|gateway:DEPLOYMENT",
        help="whose configuration: the ingress gateway's, that of a sidecar of a Deployment, or of "
        "a Deployment that is a gateway itself (by inject.istio.io/templates), as an egress "
        "gateway; NAMESPACE/DEPLOYMENT where two namespaces have one of that name",
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="a manifest, a folder of manifests, a JSON file with a list of objects, or - for "
        f"standard input. The first may be one of {', '.join(VIEWS)}: that part alone, as a table",
    )
    parser.add_argument(
        "-o",
        "--output",
        choices=("json", "yaml", "table", "config_dump", "clusters"),
        help="config_dump is Envoy's own shape, which `istioctl proxy-config --file` reads, and "
        "clusters that of its /clusters, which `istioctl proxy-config endpoints --file` reads; "
        "json and yaml of one part are Envoy's own messages, of all parts what counts in them",
    )
    parser.add_argument("--service", default="", metavar="HOST", help="what is about this Service")
    parser.add_argument(
        "--port",
        type=int,
        default=0,
        metavar="NUMBER",
        help="what is about this port of a Service, a listener or an endpoint",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="a field of Istio's MeshConfig, such as outboundTrafficPolicy.mode=REGISTRY_ONLY; may "
        "be given several times",
    )
    parser.add_argument(
        "--mesh-config",
        metavar="FILE",
        help="a MeshConfig, the ConfigMap istio, an IstioOperator, or Helm's values",
    )
    parser.set_defaults(more="files")


def run(args: argparse.Namespace) -> int:
    view, files = view_of(args.files)
    resources = heard_of([resource for file in files for resource in read(file)])
    # before validation, which knows fewer kinds and would say less
    check_supported(resource for resource in resources if has_shape(resource))
    accepted = load(resources)
    tell_without_effect(accepted)
    registry = registry_of(with_settings(accepted, args.mesh_config, args.set))
    if args.proxy == "gateway":
        config = gateway_config(registry)
    else:
        pod = pod_of(registry, args.proxy)
        config = (
            gateway_config(registry, pod.labels, pod.namespace)
            if pod.gateway
            else sidecar_config(registry, pod)
        )
    print(shown(config, registry, view, args))
    return 0


def with_settings(
    resources: list[Resource], file: str | None, assignments: list[str]
) -> list[Resource]:
    """The objects with the MeshConfig that was asked for, in place of one that they have. Fields
    of it that change nothing here are named on the standard error.
    """
    own = [resource for resource in resources if mesh_config.is_config_map(resource)]
    if file is not None:
        config = mesh_config.read(text_of(file), STDIN if file == STDIN else Path(file).name)
    else:
        config = mesh_config.of_config_map(own[-1]) if own else {}
    for assignment in assignments:
        config = mesh_config.with_setting(config, assignment)
    config = mesh_config.checked(config)
    for line in without_effect(config):
        print(f"labkit translate: MeshConfig, {line}", file=sys.stderr)
    if not (config or own):
        return resources
    others = [resource for resource in resources if resource not in own]
    return [*others, mesh_config.config_map(config)]


def tell_without_effect(resources: list[Resource]) -> None:
    """Names on the standard error what of these changes nothing, though one would think so."""
    for each in resources:
        for line in fates.without_effect(each.kind, each.body):
            print(f"labkit translate: {each.kind} {each.name}, {line}", file=sys.stderr)


def heard_of(resources: list[Resource]) -> list[Resource]:
    """The objects without those that no proxy hears of; these are named on the standard error."""
    silent = [r for r in resources if (r.api_version.rpartition("/")[0], r.kind) in kinds.SILENT]
    if silent:
        names = sorted({resource.kind for resource in silent})
        text = f"labkit translate: passed over, since no proxy hears of them: {', '.join(names)}"
        print(text, file=sys.stderr)
    return [resource for resource in resources if resource not in silent]


def view_of(words: list[str]) -> tuple[str, list[str]]:
    """The part that is asked for ("" for all), and the files. A file of such a name is a file.

    >>> view_of(["routes", "shop.yaml"]), view_of(["shop.yaml"])
    (('routes', ['shop.yaml']), ('', ['shop.yaml']))
    """
    first, *rest = words
    named = next((view for view in VIEWS if first in (view, view[:-1])), "")
    return (named, rest) if named and rest and not Path(first).exists() else ("", words)


def shown(config: ProxyConfig, registry: Registry, view: str, args: argparse.Namespace) -> str:
    """What is printed of a configuration."""
    output = args.output or ("table" if view else "json")
    parts = {
        name: chosen(config, name, service=args.service, port=args.port)
        for name in ((view,) if view else VIEWS)
    }
    if output == "table":
        tables = ["\n".join(table(found, name)) for name, (found, _) in parts.items()]
        return "\n\n".join(tables)
    if view and output not in ("config_dump", "clusters"):
        value: Any = parts[view][0]
    else:
        nothing: dict[str, tuple[Json, ...]] = dict.fromkeys(VIEWS, ())
        raw = {name: tuple(own) for name, (_, own) in parts.items()}
        config = replace(config, **{**nothing, **raw})
        if output == "clusters":
            return json.dumps(clusters_of(config.endpoints), indent=1)
        if output == "config_dump":
            return json.dumps(config_dump(config, registry), indent=1)
        value = normalised(config, registry.pods, whole=True)
    if output == "yaml":
        value = json.loads(json.dumps(value))  # routes remember more than YAML can be made of
        text: str = yaml.safe_dump(value, sort_keys=False, default_flow_style=False)
        return text.rstrip("\n")
    return json.dumps(value, indent=1, sort_keys=True)


def config_dump(config: ProxyConfig, registry: Registry) -> dict[str, Any]:
    """A configuration in Envoy's own shape."""
    clusters = [
        {**each, "load_assignment": with_workloads([each["load_assignment"]], registry.pods)[0]}
        if "load_assignment" in each
        else each
        for each in config.clusters
    ]
    return dump_of(
        clusters=clusters,
        listeners=as_on_a_cluster(config.listeners),
        routes=config.routes,
        endpoints=with_workloads(config.endpoints, registry.pods),
    )


def read(file: str) -> list[Resource]:
    """The objects of a file; a JSON file may be a list of them."""
    name = "<stdin>" if file == STDIN else file
    if file != STDIN and not (Path(file).suffix == ".json" and Path(file).is_file()):
        return load(Path(file), strict=False)
    text = text_of(file)
    if text.lstrip().startswith("["):
        return load(parsed_list(text, name), strict=False)
    return load_text(text, name, strict=False)


def text_of(file: str) -> str:
    """The text of a file, or of standard input."""
    return read_stdin("<stdin>") if file == STDIN else read_text(Path(file))


def parsed_list(text: str, name: str) -> list[Any]:
    try:
        found: list[Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParseError(f"{name}: this is not JSON", seen=str(error)) from error
    return found


def pod_of(registry: Registry, proxy: str) -> Pod:
    """A pod of the Deployment that `--proxy sidecar:DEPLOYMENT` names, or `gateway:DEPLOYMENT`: all
    of them are configured alike.
    """
    word, colon, wanted = proxy.partition(":")
    namespace, slash, name = wanted.rpartition("/")
    if word in ("sidecar", "gateway") and colon:
        for resource in registry.resources:
            if resource.kind in ("Deployment", "Pod") and resource.name == name:
                first = name if resource.kind == "Pod" else f"{name}-1"
                for pod in registry.pods:
                    if (
                        (pod.namespace, pod.name) == (resource.namespace, first)
                        and (not slash or pod.namespace == namespace)
                        and pod.gateway == (word == "gateway")
                    ):
                        return pod
    gateways = {(pod.namespace, pod.workload) for pod in registry.pods if pod.gateway}
    known = [
        f"{'gateway' if (r.namespace, r.name) in gateways else 'sidecar'}:{r.name}"
        for r in registry.resources
        if r.kind == "Deployment"
    ]
    raise NotFound(
        f"There is no proxy {proxy!r} in these manifests",
        seen=f"known: {', '.join(['gateway', *known])}",
        try_next="labkit translate --proxy gateway FILE",
    )
