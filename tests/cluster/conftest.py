"""A real cluster with Istio, named by LABKIT_TEST_KUBECONFIG; without it this suite is skipped, and
says so.

The course's manifests name the namespace `hello-world`, so some tests need it for themselves: they
refuse to start where it exists already, and remove it at the end. What can be done elsewhere is
done in a namespace of its own.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.waiting import wait_until
from tests.translate.record import kubectl

VARIABLE = "LABKIT_TEST_KUBECONFIG"
MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
NAMESPACE = "hello-world"


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("cluster")


@pytest.fixture(scope="session", autouse=True)
def kubeconfig() -> Iterator[str]:
    """The kubeconfig's path; kubectl uses it too, as do the recorder's helpers."""
    path = os.environ.get(VARIABLE, "")
    if not path:
        pytest.skip(
            f"{VARIABLE} is not set: it names the kubeconfig of a cluster with Istio to test on"
        )
    if not Path(path).is_file():
        pytest.fail(f"{VARIABLE} names {path}, and there is no such file")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", path)
        yield path


def apply(text: str, *, dry_run: bool = False) -> str:
    """Server-side apply, strict; raises with the API server's words, returns what was done."""
    words = [
        "apply",
        "--server-side",
        "--validate=strict",
        "--field-manager=labkit-tests",
        "-f",
        "-",
    ]
    words += ["--dry-run=server", "--force-conflicts"] if dry_run else []
    return kubectl(*words, given=text).stdout


def exists(namespace: str) -> bool:
    return bool(kubectl("get", "namespace", namespace, "--ignore-not-found", "-o", "name").stdout)


def claim_hello_world() -> None:
    """Fails where somebody else uses the namespace: it is not this suite's to touch then."""
    if exists(NAMESPACE):
        pytest.fail(
            f"The namespace {NAMESPACE!r} exists on this cluster, so this test would change what "
            "is not its own. "
            f"When nobody needs it: kubectl delete namespace {NAMESPACE}"
        )


@pytest.fixture(scope="module")
def own_namespace() -> Iterator[str]:
    """An empty namespace that no other run has."""
    name = f"labkit-test-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    wait_until(
        lambda: ALWAYS_THERE <= notes(name) == notes("default"),
        60,
        "what Kubernetes and istiod put into it",
    )
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


ALWAYS_THERE = {
    "configmap/istio-ca-root-cert",
    "configmap/kube-root-ca.crt",
    "serviceaccount/default",
}


def notes(namespace: str) -> set[str]:
    """What is put into each namespace a moment after it was made."""
    found = kubectl("-n", namespace, "get", "configmap,serviceaccount", "-o", "name").stdout.split()
    return {
        name for name in found if name in ALWAYS_THERE or name.startswith("configmap/istio-ca-")
    }


@pytest.fixture(scope="module")
def hello_world() -> Iterator[str]:
    """The course's first microservice and its client, applied unchanged; the namespace goes at the
    end.
    """
    claim_hello_world()
    # the cluster mesh's tests give the gateway back as it was, and its new pod takes a moment
    kubectl(
        "-n",
        "istio-system",
        "rollout",
        "status",
        "deployment/istio-ingressgateway",
        "--timeout=90s",
    )
    try:
        for name in ("hello-world.yaml", "client.yaml"):
            apply((MANIFESTS / name).read_text("utf-8"))
        kubectl(
            "-n", NAMESPACE, "wait", "--for=condition=Available", "deploy", "--all", "--timeout=90s"
        )
        yield NAMESPACE
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--wait=true", "--timeout=90s")
