"""One Envoy process: its bootstrap, the files it is configured by, its administration and its
access log.

Knows nothing of Istio: what to configure comes from `labkit.translate`.
"""

from labkit.envoy.accesslog import AccessLog
from labkit.envoy.admin import Admin, Held
from labkit.envoy.binary import envoy_path
from labkit.envoy.process import Change, Envoy, run_changes
from labkit.envoy.xds import Config, XdsFolder

__all__ = [
    "AccessLog",
    "Admin",
    "Change",
    "Config",
    "Envoy",
    "Held",
    "XdsFolder",
    "envoy_path",
    "run_changes",
]
