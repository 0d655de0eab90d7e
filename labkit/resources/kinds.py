"""The kinds of Kubernetes and Istio, in one table: a new kind is one row of it.

A kind is known by its group and its name, since a name alone is not enough: there is a Gateway of
Istio and one of the Gateway API. Where only a name is at hand, the first row that has it is meant,
and the kinds that labkit runs stand first.

>>> of("Deployment").path("hello-world", "hello-world-v1")
'/apis/apps/v1/namespaces/hello-world/deployments/hello-world-v1'
>>> of("Gateway").api_version, of("Gateway", GATEWAY_API).api_version
('networking.istio.io/v1', 'gateway.networking.k8s.io/v1')
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CORE = ""
APPS = "apps"
ISTIO_GROUP = "networking.istio.io"
ISTIO_SECURITY = "security.istio.io"
GATEWAY_API = "gateway.networking.k8s.io"
_EXTENSIONS = "extensions.istio.io"
_RBAC = "rbac.authorization.k8s.io"
_INGRESS = "networking.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"

Role = Literal["", "workload", "service", "policy"]


@dataclass(frozen=True)
class Kind:
    """One kind of object.

    `role` says what a proxy has to do with it: a "workload" has pods, a "service" leads to them, a
    "policy" tells proxies what to do; of the others a proxy hears nothing. `runs` is true of the
    kinds that labkit checks, and that the mesh on this machine has.
    """

    kind: str
    group: str = CORE
    version: str = "v1"
    """The one to write; `Schema` knows which others are understood."""
    short: tuple[str, ...] = ()
    """kubectl's short names."""
    plural: str = ""
    """As the API server's paths have it; made from the kind where a row says nothing."""
    namespaced: bool = True
    role: Role = ""
    runs: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "plural", self.plural or _plural(self.kind))

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        """What one types after `kubectl get`."""
        return self.kind.lower()

    def path(self, namespace: str | None = None, name: str = "", api_version: str = "") -> str:
        """Where the API server has objects of this kind: all, those of a namespace, or one."""
        version = api_version or self.api_version
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        inner = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        return f"{base}{inner}/{self.plural}" + (f"/{name}" if name else "")


def _plural(kind: str) -> str:
    low = kind.lower()
    if low.endswith("y") and low[-2] not in "aeiou":
        return low[:-1] + "ies"
    return low + ("es" if low.endswith("s") else "s")


def _others(group: str, *names: str, version: str = "v1") -> tuple[Kind, ...]:
    """Rows of kinds of which labkit only knows that they exist: it names them when it refuses."""
    return tuple(Kind(name, group, version) for name in names)


TABLE: tuple[Kind, ...] = (
    # what labkit checks and runs
    Kind("Namespace", short=("ns",), namespaced=False, runs=True),
    Kind("ConfigMap", short=("cm",), runs=True),
    Kind("Service", short=("svc",), role="service", runs=True),
    Kind("Deployment", APPS, short=("deploy",), role="workload", runs=True),
    Kind("Pod", short=("po",), role="workload", runs=True),
    Kind("Gateway", ISTIO_GROUP, short=("gw",), role="policy", runs=True),
    Kind("VirtualService", ISTIO_GROUP, short=("vs",), role="policy", runs=True),
    Kind("DestinationRule", ISTIO_GROUP, short=("dr",), role="policy", runs=True),
    Kind("ServiceEntry", ISTIO_GROUP, short=("se",), role="policy", runs=True),
    Kind("WorkloadEntry", ISTIO_GROUP, short=("we",), role="policy", runs=True),
    Kind("Sidecar", ISTIO_GROUP, role="policy", runs=True),
    # what a cluster makes of these, or labkit makes on a cluster
    Kind("ReplicaSet", APPS, short=("rs",), role="workload"),
    Kind("EnvoyFilter", ISTIO_GROUP, "v1alpha3", role="policy"),
    Kind("Event", short=("ev",)),
    Kind("Secret"),
    Kind("ServiceAccount", short=("sa",)),
    # what an installation of Istio has besides
    Kind("MutatingWebhookConfiguration", _ADMISSION, namespaced=False),
    Kind("ValidatingWebhookConfiguration", _ADMISSION, namespaced=False),
    Kind("ValidatingAdmissionPolicy", _ADMISSION, namespaced=False),
    Kind("ValidatingAdmissionPolicyBinding", _ADMISSION, namespaced=False),
    Kind("CustomResourceDefinition", "apiextensions.k8s.io", short=("crd",), namespaced=False),
    Kind("ClusterRole", _RBAC, namespaced=False),
    Kind("ClusterRoleBinding", _RBAC, namespaced=False),
    *_others(_RBAC, "Role", "RoleBinding"),
    Kind("GatewayClass", GATEWAY_API, short=("gc",), namespaced=False),
    Kind("HorizontalPodAutoscaler", "autoscaling", "v2", short=("hpa",)),
    Kind("PodDisruptionBudget", "policy", short=("pdb",)),
    Kind("Lease", "coordination.k8s.io"),
    # what else a learner may well have on a cluster
    Kind("WorkloadGroup", ISTIO_GROUP, short=("wg",)),
    *_others(ISTIO_GROUP, "ProxyConfig", version="v1beta1"),
    Kind("AuthorizationPolicy", ISTIO_SECURITY, short=("ap",)),
    Kind("PeerAuthentication", ISTIO_SECURITY, short=("pa",)),
    Kind("RequestAuthentication", ISTIO_SECURITY, short=("ra",)),
    *_others("telemetry.istio.io", "Telemetry", version="v1"),
    *_others(_EXTENSIONS, "TrafficExtension", "WasmPlugin", version="v1alpha1"),
    Kind("Gateway", GATEWAY_API, short=("gtw",)),
    *_others(GATEWAY_API, "BackendTLSPolicy", "GRPCRoute", "HTTPRoute", "TLSRoute"),
    *_others(GATEWAY_API, "ReferenceGrant", version="v1beta1"),
    *_others(GATEWAY_API, "TCPRoute", "UDPRoute", version="v1alpha2"),
    Kind("Endpoints", short=("ep",), plural="endpoints"),
    Kind("LimitRange", short=("limits",)),
    Kind("Node", short=("no",), namespaced=False),
    Kind("PersistentVolume", short=("pv",), namespaced=False),
    Kind("PersistentVolumeClaim", short=("pvc",)),
    Kind("ReplicationController", short=("rc",)),
    Kind("ResourceQuota", short=("quota",)),
    *_others(CORE, "PodTemplate"),
    Kind("DaemonSet", APPS, short=("ds",)),
    Kind("StatefulSet", APPS, short=("sts",)),
    *_others(APPS, "ControllerRevision"),
    Kind("CronJob", "batch", short=("cj",)),
    *_others("batch", "Job"),
    Kind("Ingress", _INGRESS, short=("ing",)),
    Kind("IngressClass", _INGRESS, namespaced=False),
    Kind("NetworkPolicy", _INGRESS, short=("netpol",)),
    *_others("discovery.k8s.io", "EndpointSlice"),
    Kind("StorageClass", "storage.k8s.io", short=("sc",), namespaced=False),
)

_SILENT_GROUPS = frozenset(
    {
        *(_RBAC, _ADMISSION, "apiextensions.k8s.io", "autoscaling", "coordination.k8s.io"),
        *("policy", "storage.k8s.io"),
    }
)
_SILENT_KINDS = {
    CORE: (
        *("Event", "LimitRange", "PersistentVolume", "PersistentVolumeClaim"),
        *("ResourceQuota", "Secret", "ServiceAccount"),
    ),
    _INGRESS: ("IngressClass", "NetworkPolicy"),
}
SILENT = frozenset(
    (row.group, row.kind)
    for row in TABLE
    if row.group in _SILENT_GROUPS or row.kind in _SILENT_KINDS.get(row.group, ())
)
"""(group, kind) of what a proxy's configuration does not depend on, and pods do not come from."""

COMPLETE = frozenset({CORE, APPS, "batch", ISTIO_GROUP, ISTIO_SECURITY, _INGRESS})
"""Groups of which the table has every kind: another one there is a mistake."""

_BY_KEY = {(row.group, row.kind): row for row in TABLE}
_BY_NAME = {row.kind: row for row in reversed(TABLE)}  # the first row of a name counts

RUN = tuple(row for row in TABLE if row.runs)
RUN_NAMES = tuple(row.kind for row in RUN)
ISTIO_KINDS = tuple(row.kind for row in RUN if row.group == ISTIO_GROUP)
WORKLOADS = tuple(row.kind for row in RUN if row.role == "workload")
MADE = tuple(row.kind for row in TABLE if row.runs or row.role)
"""What a run of labkit can have a hand in on a cluster."""
CLUSTER_WIDE = frozenset(row.kind for row in TABLE if not row.namespaced)


def of(kind: str, group: str | None = None) -> Kind:
    """The row of a kind; raises KeyError where the table has none."""
    return _BY_NAME[kind] if group is None else _BY_KEY[group, kind]


def find(kind: str, group: str) -> Kind | None:
    """The row of a kind in a group, or None."""
    return _BY_KEY.get((group, kind))


def api_version(kind: str) -> str:
    """What one writes as `apiVersion` of a kind.

    >>> api_version("VirtualService"), api_version("Pod")
    ('networking.istio.io/v1', 'v1')
    """
    return of(kind).api_version


def named(word: str) -> Kind | None:
    """The kind that a word means, as kubectl reads it, of those that labkit runs.

    >>> [row.kind for row in (named("dr"), named("virtualservices"), named("Pod")) if row]
    ['DestinationRule', 'VirtualService', 'Pod']
    """
    low = word.lower()
    return next((row for row in RUN if low in (*row.short, row.singular, row.plural)), None)
