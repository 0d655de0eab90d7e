"""What labkit does with a manifest that it was given, one thing after the other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from labkit.errors import LabkitError
from labkit.resources import check, load
from labkit.resources.lint.linting import lint
from labkit.resources.rules.shape import has_shape
from labkit.translate import (
    check_supported,
    gateway_config,
    registry_of,
    sidecar_config,
)
from labkit.translate.normalise import normalised

HELLO = Path(__file__).parents[2] / "manifests" / "hello-world.yaml"


def swallow(source: Any) -> str:
    """Loads, validates, lints and translates; says what came of it. A LabkitError is an answer;
    whatever else is raised is a defect.
    """
    said = []
    for verdict in check(source):
        said.append("accepted" if verdict.accepted else "refused")
        str(verdict), repr(verdict), [str(finding) for finding in verdict.findings]
    for context in ([], [HELLO]):
        found = lint(source, context=context)
        str(found), found.codes, found._repr_html_()
        said.append(f"{len(found)} diagnoses")
    try:
        # as the command line does
        check_supported(each for each in load(source, strict=False) if has_shape(each))
        registry = registry_of(load(source, HELLO))
        configs = [gateway_config(registry)]
        configs += [sidecar_config(registry, pod) for pod in registry.pods[:2]]
        for config in configs:
            json.dumps(normalised(config, registry.pods))
        said.append("translated")
    except LabkitError as error:
        str(error)
        said.append(type(error).__name__)
    return ", ".join(said)
