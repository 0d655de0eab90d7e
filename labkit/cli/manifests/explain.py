"""`labkit explain FILE… --request 'GET http://HOST/PATH'`: why a request goes where it goes.

labkit explain shop.yaml --request 'GET http://shop.example.com/v2'
labkit explain shop.yaml --request http://web/ --header 'x-user: jane' --proxy sidecar:client
labkit explain shop.yaml --request http://shop.example.com/ -o json
"""

from __future__ import annotations

import argparse
import json

from labkit.cli.manifests.translate import heard_of, pod_of, read
from labkit.errors import TrafficError
from labkit.explain import explain
from labkit.resources import load
from labkit.resources.rules.shape import has_shape
from labkit.translate import check_supported, registry_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="a manifest or a folder of manifests; - reads the "
        "standard input"
    )  # fmt: skip
    parser.add_argument(
        "--request",
        required=True,
        metavar="REQUEST",
        help="a URL, or a method and a URL: 'POST http://shop.example.com/cart'",
    )
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="a header of the request; may be given several times",
    )
    parser.add_argument(
        "--proxy",
        default="gateway",
        metavar="gateway|sidecar:DEPLOYMENT|gateway:DEPLOYMENT",
        help="the proxy that the request comes to first: the ingress gateway (if nothing is said), "
        "the sidecar of the caller, or a Deployment that is a gateway itself",
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    parser.set_defaults(more="files")


def run(args: argparse.Namespace) -> int:
    """Prints the explanation."""
    headers = dict(header(text) for text in args.header)
    resources = heard_of([resource for file in args.files for resource in read(file)])
    # before validation, which knows fewer kinds and would say less
    check_supported(resource for resource in resources if has_shape(resource))
    registry = registry_of(load(resources))
    pod = None if args.proxy == "gateway" else pod_of(registry, args.proxy)
    found = explain(registry, args.request, headers=headers, pod=pod)
    print(json.dumps(found.as_dict(), indent=1) if args.output == "json" else found)
    return 0


def header(text: str) -> tuple[str, str]:
    """
    >>> header("x-user: jane")
    ('x-user', 'jane')
    """
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise TrafficError(f"{text!r} is no header", try_next="--header 'x-user: jane'")
    return name.strip(), value.strip()
