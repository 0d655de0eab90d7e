"""What an Istio leaves on a cluster, as paths of the API server: so what was made can be told from
what was there.

Istio's own `istioctl uninstall` and `helm uninstall` leave things on purpose: the definitions of
its kinds, its namespace, and a certificate in each namespace. Whoever took a cluster as it was
wants it back as it was. So we look before the first write and after the installation, and remove
the difference; never more than that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from textwrap import wrap

from labkit.jsontypes import Json
from labkit.mesh.cluster.client.api import Api, path_of
from labkit.mesh.cluster.client.refusals import Refused
from labkit.resources import kinds
from labkit.resources.istio import NAMESPACE

Footprint = dict[str, str]  # path: the object's uid, which no later object of the same name has

# istiod puts them into each namespace, also into later ones
CERTIFICATES = ("istio-ca-root-cert", "istio-ca-crl")
DEFINITIONS = kinds.of("CustomResourceDefinition").path()
# In the order in which they are removed: first the webhooks, which would refuse requests once
# istiod is gone. A list that the API server does not have (an older Kubernetes, no Gateway API) is
# empty.
LISTS = tuple(
    kinds.of(kind).path()
    for kind in (
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingAdmissionPolicy",
        "GatewayClass",
        "Namespace",
        "ClusterRoleBinding",
        "ClusterRole",
        "CustomResourceDefinition",
    )
)
INSIDE = tuple(
    kinds.of(kind).path(NAMESPACE)
    for kind in (
        "Deployment",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "RoleBinding",
        "Role",
        "Lease",
        "Service",
        "ServiceAccount",
        "Secret",
        "ConfigMap",
    )
)


def footprint(api: Api) -> Footprint:
    """Everything that is some Istio's: outside namespaces, in its own namespace, and its
    certificates anywhere.

    >>> footprint(api)
    {'/api/v1/namespaces/istio-system': '0b1f…', …}
    """
    found = {}
    for path in (*LISTS, *INSIDE):
        for body in listed(api, path):
            if is_istios(path, body):
                found[f"{path}/{body['metadata']['name']}"] = str(body["metadata"]["uid"])
    return found | certificates(api)


def certificates(api: Api) -> Footprint:
    """The certificates that istiod writes into every namespace."""
    found = {}
    for name in CERTIFICATES:
        for metadata in (
            body["metadata"]
            for body in api.list("ConfigMap", fieldSelector=f"metadata.name={name}")
        ):
            found[path_of("ConfigMap", metadata["namespace"], name)] = str(metadata["uid"])
    return found


def listed(api: Api, path: str) -> list[Json]:
    try:
        items, _ = api.items(path)
    except Refused as error:
        if error.status == 404:
            return []
        raise
    return items


def is_istios(path: str, body: Json) -> bool:
    """Whether an object belongs to some Istio, by what its charts and tools write on it."""
    metadata = body["metadata"]
    labels = metadata.get("labels") or {}
    if path.endswith("/namespaces"):
        addon = str(labels.get("kubernetes.io/minikube-addons", ""))
        return metadata["name"] == NAMESPACE or addon.startswith("istio")
    if path.endswith("/gatewayclasses"):
        return str(body.get("spec", {}).get("controllerName", "")).startswith("istio.io/")
    if path == DEFINITIONS and metadata["name"].endswith(".istio.io"):
        return True
    if path in INSIDE and (
        metadata["name"] in ("istio", "values") or metadata["name"].startswith("istio")
    ):
        return True
    return labels.get("app.kubernetes.io/part-of") == "istio" or any(
        key.startswith(("operator.istio.io/", "install.operator.istio.io/", "istio.io/"))
        for key in labels
    )


def made_since(before: Mapping[str, str], now: Mapping[str, str]) -> Footprint:
    """What is there now and was not before."""
    return {path: uid for path, uid in now.items() if path not in before}


def in_use(api: Api, made: Iterable[str]) -> list[str]:
    """Objects of the kinds that would go, which somebody made elsewhere: they would go with their
    kinds.
    """
    found = []
    for path in made:
        if path.startswith(DEFINITIONS):
            spec = (api.find(path) or {}).get("spec")
            if not spec:
                continue
            version = next((v["name"] for v in spec["versions"] if v.get("storage")), "")
            for body in listed(api, f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"):
                metadata = body["metadata"]
                if metadata.get("namespace") != NAMESPACE:
                    found.append(
                        f"{spec['names']['singular']} "
                        f"{metadata.get('namespace', '')}/{metadata['name']}"
                    )
    return sorted(found)


def remove(
    api: Api, made: Mapping[str, str], say: Callable[[str], None], timeout_s: float = 180.0
) -> list[str]:
    """Removes what is still there of `made`, in the order of LISTS, and returns the paths when they
    are gone.

    A path whose object has another uid by now is somebody else's. What is in a namespace that goes,
    goes with it.
    """
    spaces = [f"{path}/" for path in made if path.rpartition("/")[0] == "/api/v1/namespaces"]
    rest = [path for path in made if not any(space in path for space in map(inside_of, spaces))]
    ordered = [path for one in LISTS for path in rest if path.rpartition("/")[0] == one]
    ordered += [path for path in rest if path not in ordered]
    gone = []
    for _, group in groupby(ordered, key=lambda path: path.rpartition("/")[0]):
        there = [path for path in group if uid_of(api, path) == made[path]]
        if there:
            say("$ kubectl delete " + command(*there))
        for path in there:
            api.delete(path)
        gone += there
    for path in gone:
        api.wait_gone(path, timeout_s, command(path))
    return gone


def uid_of(api: Api, path: str) -> str:
    """The uid of the object at a path; "" where there is none."""
    found = api.find(path)
    return str(found["metadata"]["uid"]) if found else ""


def inside_of(space: str) -> str:
    """The part of a path that says in which namespace an object is."""
    return f"/namespaces/{space.rstrip('/').rpartition('/')[2]}/"


def command(*paths: str) -> str:
    """What one types for paths of one kind and place, after `kubectl get` or `kubectl delete`.

    >>> command("/api/v1/namespaces/default/configmaps/istio-ca-root-cert")
    '-n default configmap istio-ca-root-cert'
    """
    words = paths[0].split("/")
    singular = next(row.singular for row in kinds.TABLE if row.plural == words[-2])
    space = f"-n {words[words.index('namespaces') + 1]} " if "namespaces" in words[:-2] else ""
    names = " ".join(path.rpartition("/")[2] for path in paths)
    return " \\\n      ".join(wrap(f"{space}{singular} {names}", 100, break_on_hyphens=False))
