"""Whether a pod is given a sidecar when it is made: the whole decision, as Istio takes it.

Two parties decide. The API server calls Istio's webhook only where the labels of the namespace and
of the pod ask for it (four selectors, of which one is enough). The webhook then looks at the pod
itself: its host network, its label and, where it has no such label, its annotation. So `false` as
an annotation counts less than `"true"` as a label, and a value that is neither true nor false does
not count at all.

Facts from Istio's chart (istio-control/istio-discovery/templates/mutatingwebhook.yaml, an
installation without a revision) and its `pkg/kube/inject/inject.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labkit.resources.istio import INJECT_POD, INJECTED, INJECTION, OWN_REVISION, REVISION
from labkit.resources.rules.shared import block

TEMPLATES = "inject.istio.io/templates"
"""The annotation of a pod that says what is injected."""
NEVER = ("kube-system", "kube-public", "kube-node-lease", "local-path-storage")
"""Namespaces whose pods never get a sidecar, whatever they say."""


def gets_sidecar(
    namespace: str, namespace_labels: Mapping[str, Any] | None, pod: Mapping[str, Any]
) -> bool:
    """Whether a pod that is made now gets a sidecar. `pod` is a Pod, or a Deployment's template;
    `namespace_labels` are None where the Namespace is not known.

    >>> gets_sidecar("shop", {"istio-injection": "enabled"}, {"metadata": {}, "spec": {}})
    True
    """
    metadata = block(pod, "metadata")
    labels = block(metadata, "labels") or {}
    if not _webhook_is_called(namespace_labels or {}, labels):
        return False
    if (block(pod, "spec") or {}).get("hostNetwork") or namespace in NEVER:
        return False
    annotations = block(metadata, "annotations") or {}
    wish = labels[INJECT_POD] if INJECT_POD in labels else annotations.get(INJECT_POD)
    return wish != "false"


def becomes_gateway(pod: Mapping[str, Any]) -> bool:
    """Whether what is injected into a pod is a gateway in place of a sidecar."""
    annotations = block(block(pod, "metadata"), "annotations") or {}
    return annotations.get(TEMPLATES) == "gateway"


def _webhook_is_called(namespace: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    """Whether one of the webhook's selectors takes the pod in."""
    if pod.get(INJECT_POD) == "false":
        return False
    if INJECTION in namespace:  # where both labels are there, this one counts
        return bool(namespace[INJECTION] == INJECTED)
    if REVISION in namespace:
        return bool(namespace[REVISION] == OWN_REVISION)
    if REVISION in pod:
        return bool(pod[REVISION] == OWN_REVISION)
    return bool(pod.get(INJECT_POD) == "true")
