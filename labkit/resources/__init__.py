"""Kubernetes and Istio objects: load them, validate them as the API server would, edit and compare their YAML.

from labkit.resources import load, validate

rules = load("manifests/circuit-breaker.yaml")     # raises where Kubernetes or Istio would refuse
findings = validate(rules[0])                      # warnings, if any
"""

from labkit.resources.edit import edit
from labkit.resources.finding import Finding, ManifestRefused, Verdict
from labkit.resources.loading import check, load, load_text
from labkit.resources.model import ISTIO_GROUP, Key, Path, Resource, Source
from labkit.resources.text import diff, dump
from labkit.resources.validation import validate

__all__ = [
    "ISTIO_GROUP",
    "Finding",
    "Key",
    "ManifestRefused",
    "Path",
    "Resource",
    "Source",
    "Verdict",
    "check",
    "diff",
    "dump",
    "edit",
    "load",
    "load_text",
    "validate",
]
