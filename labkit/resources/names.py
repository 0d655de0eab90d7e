"""What counts as a name, a host, a label, a port or a header: small predicates shared by the rules
of all kinds.

Each returns "" for a good value, else what is wrong with it. Kubernetes' names are lower case;
Istio's own checks of hosts and subsets also let capital letters pass, and so do these.
"""

from __future__ import annotations

import ipaddress
import re

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_ISTIO_LABEL = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?")
_WILDCARD_LABEL = re.compile(r"(\*|(\*|\*-)?[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)")
# Istio's own expression has `+-.` in its class, a range that takes the comma in
_HEADER = re.compile(r"[!#$%&'*+,.^_`|~A-Za-z0-9-]+")
_PORT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")

LABEL_FORM = (
    "lower-case letters, digits and '-', at most 63 characters, with a letter or digit at both ends"
)
SUBDOMAIN_FORM = "lower-case letters, digits, '-' and '.', with a letter or digit at both ends"
HOST_FORM = (
    "a name such as hello-world, hello-world.hello-world.svc.cluster.local, "
    "test.example.com or *.example.com"
)


def dns_label(text: str) -> bool:
    """A name of a namespace, a container or a volume."""
    return len(text) <= 63 and bool(_DNS_LABEL.fullmatch(text))


def dns_subdomain(text: str) -> bool:
    """A name of most kinds of object."""
    return len(text) <= 253 and bool(_DNS_SUBDOMAIN.fullmatch(text))


def istio_label(text: str) -> bool:
    """One part of a host name, a subset, a gateway's name."""
    return len(text) <= 63 and bool(_ISTIO_LABEL.fullmatch(text))


def label_key(text: str) -> bool:
    """The name of a label or annotation, with or without a prefix such as `app.kubernetes.io/`."""
    prefix, slash, name = text.rpartition("/")
    return (
        (not slash or dns_subdomain(prefix))
        and len(name) <= 63
        and bool(_QUALIFIED.fullmatch(name))
    )


def label_value(text: str) -> bool:
    """The value of a label: may be empty."""
    return not text or (len(text) <= 63 and bool(_QUALIFIED.fullmatch(text)))


def istio_label_key(text: str) -> bool:
    """The name of a label in a subset: like `label_key`, with capital letters in the prefix too."""
    prefix, slash, name = text.rpartition("/")
    good = not slash or (
        len(prefix) <= 253 and all(_ISTIO_LABEL.fullmatch(part) for part in prefix.split("."))
    )
    return good and len(name) <= 63 and bool(_QUALIFIED.fullmatch(name))


def istio_label_value(text: str) -> bool:
    """The value of a label in a subset; Istio sets no limit to its length."""
    return not text or bool(_QUALIFIED.fullmatch(text))


def config_key(text: str) -> bool:
    """A key of a ConfigMap: it becomes the name of a file."""
    return (
        len(text) <= 253
        and bool(_CONFIG_KEY.fullmatch(text))
        and text not in (".", "..")
        and text[:2] != ".."
    )


def port_name(text: str) -> bool:
    """The name of a container's port."""
    return (
        len(text) <= 15
        and bool(_PORT_NAME.fullmatch(text))
        and "--" not in text
        and any(letter.isalpha() for letter in text)
    )


def header_name(text: str) -> bool:
    """The name of a HTTP header."""
    return bool(_HEADER.fullmatch(text))


def ip_address(text: str) -> bool:
    """An address of IPv4 or IPv6."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def loopback(text: str) -> bool:
    """Whether an address means the machine itself."""
    return ipaddress.ip_address(text).is_loopback


def ip_subnet(text: str) -> bool:
    """An address, or a subnet in CIDR form."""
    if text.count("/") != 1:
        return ip_address(text)
    address, bits = text.split("/")
    if not bits.isdigit() or (len(bits) > 1 and bits[0] == "0") or "%" in address:
        return False
    return ip_address(address) and int(bits) <= (128 if ":" in address else 32)


def fqdn_problem(text: str) -> str:
    """What is wrong with a host name without wildcards."""
    return _length_problem(text) or _labels_problem(text, text)


def host_problem(text: str) -> str:
    """What is wrong with a host name that may begin with a wildcard.

    >>> host_problem("*.example.com"), host_problem("a.*.com")
    ('', 'the part "*" is not a name')
    """
    problem = _length_problem(text)
    if problem:
        return problem
    first, dot, rest = text.partition(".")
    if not (len(first) <= 63 and _WILDCARD_LABEL.fullmatch(first)):
        return f'the part "{first}" is not a name'
    return _labels_problem(rest, text) if dot else ""


def _length_problem(text: str) -> str:
    if not text:
        return "the name is empty"
    return "the name is longer than 255 characters" if len(text) > 255 else ""


def _labels_problem(text: str, whole: str) -> str:
    parts = text.split(".")
    if re.fullmatch(r"[+-]?\d+", parts[-1]):
        return f'the last part "{parts[-1]}" is a number'
    for index, part in enumerate(parts):
        if index == len(parts) - 1 and part == "":
            return ""
        if not istio_label(part):
            return f'the part "{part}" is not a name'
    return ""


def overlap(one: str, other: str) -> bool:
    """Whether two hosts, either of which may begin with `*`, can mean the same name."""
    if one.startswith("*") and other.startswith("*"):
        short, long = sorted((one[1:], other[1:]), key=len)
        return long.endswith(short)
    if one.startswith("*"):
        return other.endswith(one[1:])
    if other.startswith("*"):
        return one.endswith(other[1:])
    return one == other


def inside(part: str, whole: str) -> bool:
    """Whether every name that `part` means is one that `whole` means."""
    if part.startswith("*"):
        return whole.startswith("*") and len(part) >= len(whole) and part[1:].endswith(whole[1:])
    return part.endswith(whole[1:]) if whole.startswith("*") else part == whole
