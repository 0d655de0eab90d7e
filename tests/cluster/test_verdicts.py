"""labkit's verdict on each manifest of the course is the API server's."""

from __future__ import annotations

import re

import pytest

from labkit.errors import LabkitError, ManifestError
from labkit.resources import load

from .conftest import MANIFESTS, apply

# these were written to be refused; their verdicts are among those recorded for tests/resources
LEFT_OUT = ("as-published/", "11_")
FILES = [
    name
    for name in sorted(str(path.relative_to(MANIFESTS)) for path in MANIFESTS.rglob("*.yaml"))
    if not name.startswith(LEFT_OUT)
]


def moved(text: str, namespace: str) -> str:
    """The manifest with its objects in another namespace, everything else as it was written."""
    return re.sub(r"^(  namespace: )\S+$", rf"\g<1>{namespace}", text, flags=re.MULTILINE)


def server_refuses(text: str) -> str:
    """What the API server says against a manifest; "" when it takes it. Nothing
    is changed by it.
    """
    try:
        apply(text, dry_run=True)
    except LabkitError as error:
        return error.seen
    return ""


def labkit_refuses(text: str) -> str:
    try:
        load(text)
    except ManifestError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", FILES)
def test_the_verdict_is_the_api_servers(name: str, own_namespace: str) -> None:
    text = moved((MANIFESTS / name).read_text("utf-8"), own_namespace)
    server, ours = server_refuses(text), labkit_refuses(text)
    assert bool(server) == bool(ours), (
        f"API server: {server or 'accepts'}\nlabkit: {ours or 'accepts'}"
    )


def test_a_refusal_is_seen(own_namespace: str) -> None:
    """The comparison can fail: a misspelt field is refused by both, a right one by neither."""
    rule = f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: hello-world-dr
  namespace: {own_namespace}
spec:
  host: hello-world
  trafficPolicy: {{loadBalancer: {{simple: RANDOM}}}}
"""
    wrong = rule.replace("simple", "simpel")
    assert (server_refuses(rule), labkit_refuses(rule)) == ("", "")
    assert "simpel" in server_refuses(wrong)
    assert "simpel" in labkit_refuses(wrong)


def test_there_are_manifests() -> None:
    assert len(FILES) > 10
