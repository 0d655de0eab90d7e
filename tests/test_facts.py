"""One home a fact: the literal of each stands in exactly one file of labkit/.

A literal in a docstring or within a sentence does not count, nor what a learner reads as YAML: only
a whole string, or a number, by which code would decide.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import labkit

ROOT = Path(labkit.__file__).parent

HOMES = {
    # a pattern that the whole literal matches → the one file that has it
    r"networking\.istio\.io(/v1.*)?": "resources/kinds.py",
    r"apps(/v1)?": "resources/kinds.py",
    r"istio-system": "resources/istio.py",
    r"istio-ingressgateway": "resources/istio.py",
    r"istio-proxy": "resources/istio.py",
    r"istio\.io/rev": "resources/istio.py",
    r"\.?(svc\.)?cluster\.local": "resources/istio.py",
    r"outbound\|(\d+\|)?": "resources/istio.py",
    r"15000|15021|15090|8443": "resources/istio.py",
    r"\(\?P<number>.*ns\|us.*": "resources/durations.py",
    r"dynamic_(listeners|active_clusters|route_configs|endpoint_configs)": "envoy/dump.py",
    r"failed_outlier_check": "envoy/admin.py",
    r"%RESPONSE_FLAGS%": "envoy/accesslog.py",
    r"envoy\.access_loggers\.file": "envoy/accesslog.py",
    r"envoy\.filters\.network\.http_connection_manager": "translate/listeners.py",
    r"https://istio-release\.storage\.googleapis\.com/charts": "setup/installers.py",
    r"10\.244\.0\.12": "translate/manifests.py",
    r"10\.96\.1\.1": "translate/manifests.py",
}
"""A fact that moves changes its home here; one that stands in a second file is imported there."""

ALLOWED = {
    # what only looks alike
    ("outbound|", "mesh/views.py"): "asks of a cluster's name which way it leads",
}


def literals(tree: ast.Module) -> Iterator[str]:
    """Every string and number of a module, as text, without docstrings."""
    spoken = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and id(node) not in spoken
            and isinstance(node.value, str | int)
            and not isinstance(node.value, bool)
        ):
            yield str(node.value)


@functools.cache
def found() -> dict[str, frozenset[str]]:
    """File → its literals."""
    return {
        path.relative_to(ROOT).as_posix(): frozenset(literals(ast.parse(path.read_text("utf-8"))))
        for path in sorted(ROOT.rglob("*.py"))
    }


@pytest.mark.parametrize("pattern", HOMES)
def test_a_fact_has_one_home(pattern: str) -> None:
    fact = re.compile(pattern)
    files = {
        file
        for file, texts in found().items()
        for text in texts
        if fact.fullmatch(text) and (text, file) not in ALLOWED
    }
    assert files == {HOMES[pattern]}


def test_json_is_one_name() -> None:
    files = [
        file
        for file in found()
        if re.search(r"^Json\b.*= ", (ROOT / file).read_text("utf-8"), re.MULTILINE)
    ]
    assert files == ["jsontypes.py"]
