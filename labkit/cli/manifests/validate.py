"""`labkit validate FILE…|-`: the verdict of Kubernetes and Istio on manifests,
without a cluster.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labkit.cli.terminal import read_stdin
from labkit.errors import LabkitError, ParseError
from labkit.resources import Admission, check
from labkit.resources.yaml.loading import check_text


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="YAML files or folders; - reads the standard input"
    )
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="exit with 1 too where an object is of a kind that is not checked",
    )


def run(args: argparse.Namespace) -> int:
    """Prints a verdict for each object; 1 when one is refused, or not checked and `--strict` asks
    for that, else 0 (warnings do not count).
    """
    verdicts = list(_verdicts(args.files))
    if args.json:
        print(json.dumps([as_dict(verdict) for verdict in verdicts], indent=2))
    else:
        for verdict in verdicts:
            print(as_text(verdict))
        print(summary(verdicts))
    good = ("accepted",) if args.strict else ("accepted", "not checked")
    return 0 if verdicts and all(verdict.verdict in good for verdict in verdicts) else 1


def _verdicts(files: list[str]) -> Iterator[Admission]:
    for file in files:
        found = check_text(read_stdin(), "stdin") if file == "-" else check(Path(file))
        if not found:
            found = [Admission(None, (), ParseError(f"{file}: no object in it"), file)]
        yield from found


def as_text(verdict: Admission) -> str:
    """A line for the object with its verdict, and a line for each finding.

    >>> print(as_text(check("rule.yaml")[0]))
    REFUSED   DestinationRule hello-world/hello-world-dr
      rule.yaml:8: spec.trafficPolicy.loadBalancer.simple: not a known value
          found    "RANDON"
          allowed  UNSPECIFIED, LEAST_CONN, RANDOM, …
          hint     did you mean `RANDOM`?
    """
    word = "REFUSED" if verdict.verdict == "refused" else verdict.verdict
    lines = [f"{word:8}  {_name(verdict)}"]
    if verdict.error is not None:
        lines.extend(f"  {line}" for line in _error_lines(verdict.error))
    for finding in verdict.findings:
        where = f"{finding.file}:{finding.line}: " if finding.file else ""
        warning = "warning: " if finding.level == "warning" else ""
        about = f"{finding.path}: " if finding.path else ""
        lines.append(f"  {where}{warning}{about}{finding.message}")
        for label in ("found", "allowed", "hint"):
            text = getattr(finding, label)
            if text:
                lines.append(f"      {label:7}  {text}")
    return "\n".join(lines)


def _name(verdict: Admission) -> str:
    resource = verdict.resource
    if resource is None:
        return verdict.file
    where = f"{resource.namespace}/" if resource.namespace else ""
    return f"{resource.kind} {where}{resource.name or '(no name)'}"


def _error_lines(error: LabkitError) -> list[str]:
    return str(error).splitlines()


def summary(verdicts: list[Admission]) -> str:
    """The last line: how many of each."""
    words = [verdict.verdict for verdict in verdicts]
    warnings = sum(len(verdict.warnings) for verdict in verdicts)
    parts = [f"{words.count('accepted')} accepted", f"{words.count('refused')} refused"]
    if "not checked" in words:
        parts.append(f"{words.count('not checked')} not checked")
    if warnings:
        parts.append(f"{warnings} warning{'s' if warnings > 1 else ''}")
    return ", ".join(parts)


def as_dict(verdict: Admission) -> dict[str, Any]:
    """The verdict as JSON-able values."""
    resource = verdict.resource
    return {
        "file": verdict.file,
        "apiVersion": resource.api_version if resource else None,
        "kind": resource.kind if resource else None,
        "namespace": resource.namespace if resource else None,
        "name": resource.name if resource else None,
        "accepted": verdict.accepted,
        "verdict": verdict.verdict,
        "error": str(verdict.error) if verdict.error else None,
        "findings": [finding.as_dict() for finding in verdict.findings],
    }
