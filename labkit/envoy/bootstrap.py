"""The bootstrap of one Envoy: who it is, where its administration listens and where it reads its
configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

ADMIN_SOCKET = "admin.sock"
XDS_FOLDER = "xds"
ACCESS_LOG = "access.log"
LOG = "envoy.log"


def bootstrap(
    folder: Path, *, node: str, cluster: str, runtime: Mapping[str, bool | str]
) -> dict[str, Any]:
    """The bootstrap configuration as JSON-able values, with Envoy's runtime settings `runtime`.

    The administration interface is a Unix socket in `folder`: it can stop the proxy, so no other
    user and no web page may reach it, and it needs no port. Listeners and clusters come from files,
    and those name their own.
    """

    def discovery(name: str) -> dict[str, Any]:
        path = str(folder / XDS_FOLDER / name)
        return {"resource_api_version": "V3", "path_config_source": {"path": path}}

    return {
        "node": {"id": node, "cluster": cluster},
        "admin": {"address": {"pipe": {"path": str(folder / ADMIN_SOCKET), "mode": 0o600}}},
        "dynamic_resources": {
            "lds_config": discovery("lds.json"),
            "cds_config": discovery("cds.json"),
        },
        # more than a lab ever needs; without a limit Envoy warns at each start
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3."  # noqa: E501
                        "DownstreamConnectionsConfig",
                        "max_active_downstream_connections": 50000,
                    },
                }
            ]
        },
        "layered_runtime": {
            "layers": [
                {"name": "global config", "static_layer": dict(runtime)},
                # as in the bootstrap of Istio's proxies: what the administration changes, until the
                # next start
                {"name": "admin", "admin_layer": {}},
            ]
        },
    }


def command(program: str, folder: Path) -> list[str]:
    """How Envoy is started.

    One worker, since each worker has its own connection pools and breakers, and counts must be
    exact. Unknown fields are refused: by default Envoy only warns, and a mistake in the translation
    would pass in silence.
    """
    return [
        program,
        *("--config-path", str(folder / "bootstrap.json")),
        *("--concurrency", "1"),
        "--disable-hot-restart",
        "--reject-unknown-dynamic-fields",
        # the access log is read after each run: the default of 10 s would be felt
        *("--file-flush-interval-msec", "20"),
        *("--log-level", "warning"),
        # Istio still sets a field that Envoy calls deprecated, in every route: each would be a
        # warning
        *("--component-log-level", "misc:error"),
        *("--drain-time-s", "1"),
    ]
