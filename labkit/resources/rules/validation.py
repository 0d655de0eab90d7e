"""`validate`: what Kubernetes and Istio would say of one object."""

from __future__ import annotations

from labkit.resources.finding import Finding, Report, written
from labkit.resources.model import Resource
from labkit.resources.rules.metadata import check_metadata
from labkit.resources.rules.schemas import schema_of
from labkit.resources.rules.structure import check_structure


def validate(resource: Resource) -> list[Finding]:
    """All findings on one object, in the order of the file; an empty list means accepted without a
    word.

    >>> [str(finding) for finding in validate(load("rule.yaml", strict=False)[0])]
    ['rule.yaml:8: spec.trafficPolicy.loadBalancer.simple: not a known value; found "RANDON"; …']

    The order of the checks is that of an API server: the schema, the metadata, then Istio's
    webhook, which sees only what the schema lets pass. Raises UnsupportedError for a kind that
    labkit does not check, ParseError for one that does not exist.
    """
    schema = schema_of(resource)
    report = Report(resource)
    if resource.source is not None:
        for path in resource.source.repeated:
            report.warning(
                path,
                f"`{written(path[-1:])}` is written twice here",
                hint="the last one counts; remove the other",
            )
    check_structure(resource.body, schema, report)
    if not any(
        finding.level == "error" and finding.path.startswith("metadata")
        for finding in report.findings
    ):
        check_metadata(report)
    if not report.refused:
        _check_kind(report)
    return sorted(report.findings, key=lambda finding: finding.line)


def _check_kind(report: Report) -> None:
    """The checks that a schema can't express; each kind's module is imported when
    it is first met.
    """
    kind = report.resource.kind
    if kind == "DestinationRule":
        from labkit.resources.rules.destination_rule import check_destination_rule as check
    elif kind == "VirtualService":
        from labkit.resources.rules.virtual_service import check_virtual_service as check
    elif kind == "Gateway":
        from labkit.resources.rules.gateway import check_gateway as check
    elif kind == "ServiceEntry":
        from labkit.resources.rules.service_entry import check_service_entry as check
    elif kind == "WorkloadEntry":
        from labkit.resources.rules.service_entry import check_workload_entry as check
    elif kind == "Sidecar":
        from labkit.resources.rules.sidecar import check_sidecar as check
    else:
        from labkit.resources.rules.kubernetes import check_kubernetes as check
    check(report)
