"""The linter: mistakes that Kubernetes and Istio accept, found in files or on a running mesh.

from labkit.resources.lint import lint

lint("manifests/hello-world.yaml", "my-rule.yaml")     # no findings, or what, why it matters and
how to fix it

A rule is a function from a World (all objects, indexed) to diagnoses; `linting.RULES` lists them,
`codes.CODES` says what each code means.
"""

from labkit.resources.lint.codes import CODES, Code
from labkit.resources.lint.diagnosis import Diagnoses, Diagnosis
from labkit.resources.lint.linting import lint, lint_admissions
from labkit.resources.lint.world import World

__all__ = ["CODES", "Code", "Diagnoses", "Diagnosis", "World", "lint", "lint_admissions"]
