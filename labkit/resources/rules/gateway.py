"""What Istio's webhook checks of a Gateway, beyond its schema."""

from __future__ import annotations

from labkit.resources.finding import Report
from labkit.resources.model import Path
from labkit.resources.names import host_problem, ip_address, istio_label
from labkit.resources.rules.shared import Fields, block, items, own_annotations, port
from labkit.resources.words import closest

_HTTP = ("HTTP", "HTTP2", "HTTP_PROXY", "GRPC", "GRPC-WEB")
_TLS = ("HTTPS", "TLS")
_PROTOCOLS = (*_HTTP, *_TLS, "TCP", "UDP", "MONGO", "REDIS", "MYSQL")
_CERTIFICATES = (
    "caCrl",
    "serverCertificate",
    "privateKey",
    "caCertificates",
    "tlsCertificates",
    "credentialName",
    "credentialNames",
)
_CIPHERS = {
    *(
        f"ECDHE-{key}-AES{bits}-GCM-SHA{size}"
        for key in ("ECDSA", "RSA")
        for bits, size in ((128, 256), (256, 384))
    ),
    *(f"ECDHE-{key}-CHACHA20-POLY1305" for key in ("ECDSA", "RSA")),
    *(f"ECDHE-{key}-AES{bits}-SHA" for key in ("ECDSA", "RSA") for bits in (128, 256)),
    *("AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA", "DES-CBC3-SHA"),
}


def check_gateway(report: Report) -> None:
    """Adds what the webhook would say to the report. The structure must be right already."""
    own_annotations(report)
    name = report.resource.name
    if not istio_label(name):
        report.error(("metadata", "name"), "not a name for a Gateway: no dots", found=name)
    servers = items(report.resource.spec, "servers")
    if not servers:
        report.error(("spec", "servers"), "a Gateway needs at least one server")
    port_names: set[str] = set()
    for index, server in enumerate(servers):
        path: Path = ("spec", "servers", index)
        _server(server, path, report)
        fields = block(server, "port") or {}
        port_name = fields.get("name") or ""
        if port_name in port_names:
            report.error((*path, "port", "name"), "two ports of the same name", found=port_name)
        port_names.add(port_name)
        if (block(server, "tls") or {}).get("httpsRedirect") and _protocol(fields) not in _HTTP:
            report.warning(
                (*path, "tls", "httpsRedirect"), "httpsRedirect is for servers of HTTP only"
            )


def _protocol(fields: Fields) -> str:
    return str(fields.get("protocol") or "").upper()


def _server(server: Fields, path: Path, report: Report) -> None:
    hosts = items(server, "hosts")
    if not hosts:
        report.error(
            (*path, "hosts"), "a server needs at least one host", hint='`- "*"` stands for all'
        )
    for index, host in enumerate(hosts):
        _host(host, (*path, "hosts", index), report)
    before = len(report.findings)
    bind = server.get("bind") or ""
    _port(block(server, "port") or {}, bind, (*path, "port"), report)
    port_is_good = len(report.findings) == before
    _bind(block(server, "port") or {}, bind, path, report)
    tls = block(server, "tls")
    if tls is not None:
        _tls(tls, (*path, "tls"), report)
    if port_is_good:
        _tls_fits(_protocol(block(server, "port") or {}), tls, path, report)


def _host(text: str, path: Path, report: Report) -> None:
    """`host` or `namespace/host`."""
    namespace, slash, host = text.partition("/")
    if not slash:
        host = text
    elif namespace not in ("*", ".") and not istio_label(namespace):
        report.error(
            path,
            "not a namespace before the `/`",
            found=text,
            allowed="*, . or the name of a namespace",
        )
    if host != "*" and "." not in host:
        report.error(
            path,
            "a short name can't be a host here",
            found=text,
            allowed="a full name such as test.example.com, or *",
        )
    problem = host_problem(host)
    if problem and not ip_address(host):
        report.error(
            path,
            f"not a host: {problem}",
            found=text,
            allowed="such as test.example.com, *.example.com, *",
        )
    if "*" in host and host != "*" and not host.startswith("*."):
        report.error(
            path,
            "a wildcard stands for whole parts of a name",
            found=text,
            allowed="*.example.com or *",
        )


def _port(fields: Fields, bind: str, path: Path, report: Report) -> None:
    protocol = fields.get("protocol") or ""
    if protocol.upper() not in _PROTOCOLS:
        near = closest(protocol, _PROTOCOLS)
        report.error(
            (*path, "protocol"),
            "not a known protocol",
            found=protocol,
            allowed=", ".join(_PROTOCOLS),
            hint=f"did you mean `{near}`?" if near else "",
        )
    if fields.get("number") or not bind.startswith("unix://"):
        port(fields.get("number"), (*path, "number"), report)
    if fields.get("targetPort"):
        report.error(
            (*path, "targetPort"), "targetPort has no effect in a Gateway", hint="remove it"
        )
    if not fields.get("name"):
        report.error((*path, "name"), "a port needs a name")


def _bind(fields: Fields, bind: str, path: Path, report: Report) -> None:
    socket = bind.removeprefix("unix://")
    if bind.startswith("unix://"):
        if not socket.startswith("@") and (not socket.startswith("/") or socket.endswith("/")):
            report.error((*path, "bind"), "not the absolute path of a socket", found=bind)
        if fields.get("number"):
            report.error(
                (*path, "port", "number"), "must be 0 with a unix socket", found=fields["number"]
            )
    elif bind and not ip_address(bind):
        report.error(
            (*path, "bind"), "not an address", found=bind, allowed="an address such as 0.0.0.0"
        )


def _tls_fits(protocol: str, tls: Fields | None, path: Path, report: Report) -> None:
    if protocol in _TLS:
        if tls is None:
            report.error(
                (*path, "tls"), f"a server of {protocol} needs `tls`", hint="or use protocol HTTP"
            )
    elif tls is not None:
        files = any(tls.get(name) for name in ("caCertificates", "privateKey", "serverCertificate"))
        # PASSTHROUGH is the mode where none is written: a block with httpsRedirect alone is fine.
        if (
            protocol not in _HTTP
            or files
            or tls.get("mode", "PASSTHROUGH") not in ("PASSTHROUGH", "AUTO_PASSTHROUGH")
        ):
            report.error(
                (*path, "tls"),
                f"a server of {protocol} can't have `tls`",
                allowed="protocol HTTPS or TLS",
            )


def _tls(tls: Fields, path: Path, report: Report) -> None:
    mode = tls.get("mode", "PASSTHROUGH")
    ciphers = items(tls, "cipherSuites")
    if tls.get("minProtocolVersion") in ("TLSV1_0", "TLSV1_1") and not ciphers:
        report.warning(
            (*path, "minProtocolVersion"), "versions below TLSV1_2 need cipherSuites that suit them"
        )
    for index, cipher in enumerate(ciphers):
        if cipher and cipher != "ALL" and cipher[0].isalnum() and cipher not in _CIPHERS:
            report.warning(
                (*path, "cipherSuites", index), "an unknown cipher suite, ignored", found=cipher
            )
        elif cipher in ciphers[:index]:
            report.warning(
                (*path, "cipherSuites", index), "the same cipher suite twice", found=cipher
            )
    set_fields = [name for name in _CERTIFICATES if tls.get(name)]
    if mode == "ISTIO_MUTUAL":
        for name in set_fields:
            if name != "caCrl":
                report.error(
                    (*path, name),
                    "ISTIO_MUTUAL uses Istio's own certificates",
                    hint="remove the field",
                )
        return
    if mode in ("PASSTHROUGH", "AUTO_PASSTHROUGH") and set_fields:
        report.warning(
            path, f"mode {mode} does not use certificates: {', '.join(set_fields)} is ignored"
        )
    sources = [
        name for name in ("credentialName", "credentialNames", "tlsCertificates") if tls.get(name)
    ]
    sources += (
        ["serverCertificate"] if tls.get("serverCertificate") and tls.get("privateKey") else []
    )
    if len(sources) > 1:
        report.error(
            (*path, sources[0]),
            "only one source of certificates may be set",
            found=", ".join(sources),
        )
    if mode not in ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"):
        _no_revocation_list(tls, mode, path, report)
    elif not (tls.get("credentialName") or tls.get("credentialNames")):
        _files(tls, mode, path, report)
        _no_revocation_list(tls, mode, path, report)


def _files(tls: Fields, mode: str, path: Path, report: Report) -> None:
    if mode != "SIMPLE" and not tls.get("caCertificates"):
        report.error((*path, "caCertificates"), f"mode {mode} needs the CA of the clients")
    certificates = items(tls, "tlsCertificates")
    places = [
        ((*path, "tlsCertificates", index), item) for index, item in enumerate(certificates)
    ] or [(path, tls)]
    for place, certificate in places:
        for name in ("serverCertificate", "privateKey"):
            if not certificate.get(name):
                report.error(
                    (*place, name),
                    f"mode {mode} needs this field, or a credentialName",
                    hint="set `credentialName`",
                )


def _no_revocation_list(tls: Fields, mode: str, path: Path, report: Report) -> None:
    if tls.get("caCrl") and (tls.get("credentialName") or mode == "SIMPLE"):
        report.error((*path, "caCrl"), "not allowed with credentialName, nor in mode SIMPLE")
