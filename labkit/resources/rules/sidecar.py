"""What Istio's webhook checks of a Sidecar, beyond its schema."""

from __future__ import annotations

from labkit.resources.finding import Report
from labkit.resources.model import Path
from labkit.resources.names import HOST_FORM, host_problem, istio_label
from labkit.resources.rules.shared import block, items, own_annotations
from labkit.resources.rules.shared import port as port_number

PARTS = ("egress", "ingress", "outboundTrafficPolicy", "inboundConnectionPool")


def check_sidecar(report: Report) -> None:
    """Adds what the webhook would say to the report. The structure must be right already."""
    own_annotations(report)
    spec = report.resource.spec
    selector = block(spec, "workloadSelector")
    if selector is not None and not selector.get("labels"):
        path: Path = ("spec", "workloadSelector", "labels")
        report.warning(path, "without labels it chooses every pod of the namespace")
    if not any(spec.get(part) not in (None, []) for part in PARTS):
        report.error(("spec",), "a Sidecar that says nothing", allowed=f"one of {', '.join(PARTS)}")
    listeners = items(spec, "egress")
    for index, listener in enumerate(listeners):
        path = ("spec", "egress", index)
        port = block(listener, "port")
        if port is None and index < len(listeners) - 1:
            report.error(path, "a listener without a port catches everything: it comes last")
        if port is not None and port.get("number"):
            port_number(port.get("number"), (*path, "port", "number"), report)
        hosts = items(listener, "hosts")
        if not hosts:
            report.error((*path, "hosts"), "a listener needs at least one host", hint='"./*"')
        for number, host in enumerate(hosts):
            _host(host, (*path, "hosts", number), report)


def _host(text: str, path: Path, report: Report) -> None:
    """`namespace/host`."""
    owner, slash, host = text.partition("/")
    if not slash:
        report.error(
            path,
            "a host here has its namespace before a `/`",
            found=text,
            allowed="./*, */*, NAMESPACE/* or NAMESPACE/host.example.com",
        )
        return
    if owner.startswith("~"):
        owner = owner[1:] or "*"
    if owner not in ("*", ".") and not istio_label(owner):
        allowed = "*, ., ~ or the name of a namespace"
        report.error(path, "not a namespace before the `/`", found=text, allowed=allowed)
    if host == "*":
        return
    problem = host_problem(host)
    if problem:
        report.error(path, f"not a host: {problem}", found=text, allowed=HOST_FORM)
    elif "." not in host:
        hint = f"did you mean `{text}.{'NAMESPACE' if owner in '*.' else owner}.svc.cluster.local`?"
        report.error(path, "a short name can't be a host here", found=text, hint=hint)
    elif "*" in host and not host.startswith("*."):
        allowed = "*.example.com or *"
        report.error(
            path, "a wildcard stands for whole parts of a name", found=text, allowed=allowed
        )
