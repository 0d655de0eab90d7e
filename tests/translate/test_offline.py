"""What labkit once made otherwise than istiod: found by generated rule sets (tests/generated), made
small, and recorded of istiod's own translation by `python -m tests.generated.record`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from labkit.errors import UnsupportedError
from tests.each import assert_each
from tests.generated.oracle import placed, translated

from .recorded import differences
from .test_any_names import whole

DATA = Path(__file__).parent / "data"
RECORDED = DATA / "offline.json"
SETS = ("offline", "entries")
"""Differences that were found, and inputs with ServiceEntry, WorkloadEntry and Sidecar."""


def inputs(which: str = "offline") -> dict[str, list[Any]]:
    known = yaml.safe_load((DATA / f"{which}.yaml").read_text("utf-8"))
    return {name: [*known["base"], *objects] for name, objects in known["cases"].items()}


@pytest.mark.parametrize("which", SETS)
def test_every_proxy_gets_what_istiod_gave_it(which: str) -> None:
    recorded = json.loads((DATA / f"{which}.json").read_text("utf-8"))
    assert list(recorded) == list(inputs(which))

    def holds(case: tuple[str, list[Any]]) -> None:
        name, objects = case
        found = {proxy: whole(dump) for proxy, dump in translated(placed(objects)).items()}
        assert list(differences(recorded[name], found)) == []

    assert_each(((name, (name, objects)) for name, objects in inputs(which).items()), holds)


def test_what_istiod_fails_on_is_refused_by_name() -> None:
    """`*/*` makes its list of hosts one long; a host after it is then looked for behind the end
    (`sanitizeServerHostNamespace` in `pilot/pkg/model/gateway.go`).
    """
    objects = inputs()["a-redirect-to-443-behind-tls"]
    (server,) = next(each["spec"]["servers"] for each in objects if each["kind"] == "Gateway")
    server["hosts"] = ["*/*", "shop/a.example.com"]
    assert "gateway" in translated(objects)
    server["hosts"] += ["./b.example.com"]
    with pytest.raises(UnsupportedError, match=r"^Gateway shop/front, spec.servers\[0\].hosts, is"):
        translated(objects)


def test_a_listener_that_envoy_refuses_is_refused_by_name() -> None:
    """istiod keeps the servers of one port apart by address and by protocol, and forgets the first
    address when another comes between (`mergeGateways` in `pilot/pkg/model/gateway.go`).
    """
    objects = inputs()["servers-of-one-port-with-binds"]
    servers = next(each["spec"]["servers"] for each in objects if each["kind"] == "Gateway")
    servers += [
        {"port": {"number": 80, "protocol": protocol, "name": protocol}, "hosts": ["*"], **bind}
        for protocol, bind in (("HTTP2", {"bind": "10.1.1.1"}), ("GRPC", {}))
    ]
    with pytest.raises(UnsupportedError, match=r"^Gateway shop/first, spec.servers\[2\].bind, is"):
        translated(objects)
    servers[2]["port"]["protocol"] = "HTTP"
    assert "gateway" in translated(objects)
