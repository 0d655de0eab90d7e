"""The type of JSON objects as Python has them: one name for it, everywhere."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
"""One JSON object: an object of Kubernetes, or a message of Envoy's API as its config_dump shows it
(snake_case names, durations such as "0.500s").
"""
