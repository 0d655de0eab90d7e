"""What istiod does, for the supported part: objects in, Envoy's clusters, endpoints, routes and
listeners out.

Pure functions: they know no file, no folder and no process. A `Registry` is made once of all
objects, pods and addresses and then handed to `gateway_config` and, for each pod with a sidecar, to
`sidecar_config`; `registry_of` makes one of manifests alone. What comes out is what istiod gives
that proxy; the embedded mesh moves it to this machine's addresses in `labkit.mesh.embedded`.

>>> registry = registry_of(load("manifests/hello-world.yaml"))
>>> gateway_config(registry), sidecar_config(registry, registry.pods[0])
(<ProxyConfig: 1 clusters, …>, <ProxyConfig: 3 clusters, …>)
"""

from labkit.translate.gateway import gateway_config
from labkit.translate.manifests import registry_of
from labkit.translate.model import Pod, ProxyConfig
from labkit.translate.registry import Registry
from labkit.translate.sidecar import sidecar_config
from labkit.translate.support import check_supported

__all__ = [
    "Pod",
    "ProxyConfig",
    "Registry",
    "check_supported",
    "gateway_config",
    "registry_of",
    "sidecar_config",
]
