"""What istiod does, for the supported part: objects in, Envoy's clusters, endpoints, routes and
listeners out.

Pure functions: no files, no processes. Start with `snapshot_of` and `gateway_config`.
"""

from labkit.translate.gateway import gateway_config
from labkit.translate.model import Pod, ProxyConfig, Snapshot, snapshot_of
from labkit.translate.normalise import normalised
from labkit.translate.sidecar import sidecar_config
from labkit.translate.support import check_supported

__all__ = [
    "Pod",
    "ProxyConfig",
    "Snapshot",
    "check_supported",
    "gateway_config",
    "normalised",
    "sidecar_config",
    "snapshot_of",
]
