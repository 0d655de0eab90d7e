"""Kubernetes and Istio objects: load them, validate them as the API server would, edit and compare
their YAML.

from labkit.resources import load, validate

rules = load("manifests/circuit-breaker.yaml")     # raises where Kubernetes or Istio would refuse
findings = validate(rules[0])                      # warnings, if any
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.lazy import attach
from labkit.resources.finding import Admission, Finding, ManifestRefused
from labkit.resources.kinds import ISTIO_GROUP
from labkit.resources.model import Key, Path, Resource, Source
from labkit.resources.yaml.loading import check, load, load_text

if TYPE_CHECKING:
    from labkit.resources.rules.validation import validate
    from labkit.resources.yaml.editing import edit
    from labkit.resources.yaml.text import diff, dump

__all__ = [
    "ISTIO_GROUP",
    "Admission",
    "Finding",
    "Key",
    "ManifestRefused",
    "Path",
    "Resource",
    "Source",
    "check",
    "diff",
    "dump",
    "edit",
    "load",
    "load_text",
    "validate",
]

# A mesh starts faster when what it does not use is not imported.
_HOMES = {
    "diff": "yaml.text",
    "dump": "yaml.text",
    "edit": "yaml.editing",
    "validate": "rules.validation",
}

__getattr__, __dir__ = attach(__name__, _HOMES)
