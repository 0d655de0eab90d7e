"""`labkit translate`: the Envoy configuration that Istio makes of manifests, as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from labkit.cli.terminal import read_stdin
from labkit.errors import NotFound, ParseError
from labkit.resources import Resource, load, load_text
from labkit.resources.rules.shape import has_shape
from labkit.resources.yaml.loading import read_text
from labkit.translate import (
    Pod,
    Registry,
    check_supported,
    gateway_config,
    registry_of,
    sidecar_config,
)
from labkit.translate.normalise import normalised

STDIN = "-"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--proxy",
        required=True,
        metavar="gateway|sidecar:DEPLOYMENT",
        help="whose configuration: the ingress gateway's, or that of a sidecar of a Deployment "
        "(sidecar:NAMESPACE/DEPLOYMENT where two namespaces have one of that name)",
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="a manifest, a folder of manifests, a JSON file with a list of objects, or - for "
        "standard input",
    )


def run(args: argparse.Namespace) -> int:
    resources = [resource for file in args.files for resource in read(file)]
    # before validation, which knows fewer kinds and would say less
    check_supported(resource for resource in resources if has_shape(resource))
    registry = registry_of(load(resources))
    if args.proxy == "gateway":
        config = gateway_config(registry)
    else:
        config = sidecar_config(registry, pod_of(registry, args.proxy))
    json.dump(normalised(config, registry.pods), sys.stdout, indent=1, sort_keys=True)
    print()
    return 0


def read(file: str) -> list[Resource]:
    """The objects of a file; a JSON file may be a list of them."""
    if file == STDIN:
        text, name = read_stdin("<stdin>"), "<stdin>"
    elif Path(file).suffix == ".json" and Path(file).is_file():
        text, name = read_text(Path(file)), file
    else:
        return load(Path(file), strict=False)
    if text.lstrip().startswith("["):
        return load(parsed_list(text, name), strict=False)
    return load_text(text, name, strict=False)


def parsed_list(text: str, name: str) -> list[Any]:
    try:
        found: list[Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParseError(f"{name}: this is not JSON", seen=str(error)) from error
    return found


def pod_of(registry: Registry, proxy: str) -> Pod:
    """A pod of the Deployment that `--proxy sidecar:DEPLOYMENT` names: all of them are configured
    alike.
    """
    word, colon, wanted = proxy.partition(":")
    namespace, slash, name = wanted.rpartition("/")
    if word == "sidecar" and colon:
        for resource in registry.resources:
            if resource.kind in ("Deployment", "Pod") and resource.name == name:
                first = name if resource.kind == "Pod" else f"{name}-1"
                for pod in registry.pods:
                    if (pod.namespace, pod.name) == (resource.namespace, first) and (
                        not slash or pod.namespace == namespace
                    ):
                        return pod
    known = [f"sidecar:{r.name}" for r in registry.resources if r.kind == "Deployment"]
    raise NotFound(
        f"There is no proxy {proxy!r} in these manifests",
        seen=f"known: {', '.join(['gateway', *known])}",
        try_next="labkit translate --proxy gateway FILE",
    )
