"""The runtime settings with which Istio starts every Envoy.

They are in no resource that istiod sends: `pilot-agent` writes them to the bootstrap. As
`extractRuntimeFlags` in Istio's `pkg/bootstrap/config.go` (1.31) has them.
"""

from __future__ import annotations

from collections.abc import Mapping

from labkit.resources.istio import MOST_REGEX_INSTRUCTIONS

RUNTIME: Mapping[str, bool | str] = {
    "re2.max_program_size.error_level": str(MOST_REGEX_INSTRUCTIONS),
    "envoy.deprecated_features:"
    "envoy.config.listener.v3.Listener.hidden_envoy_deprecated_use_original_dst": True,
    # `GET /a#b` is answered as `GET /a`: Envoy alone says 400
    "envoy.reloadable_features.http_reject_path_with_fragment": False,
    "envoy.reloadable_features.fixed_heap_use_allocated": True,
    "envoy.reloadable_features.coalesce_lb_rebuilds_on_batch_update": False,
}
