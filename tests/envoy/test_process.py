"""One real Envoy: takes configurations, refuses bad ones with its reason, and says when it has
ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labkit.envoy import Envoy, run_changes
from labkit.errors import ConfigRejected, EnvoyDied, NotReady
from labkit.processes import Family
from tests.envoy.test_xds import Config

pytestmark = pytest.mark.embedded


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Short, since the path of a Unix socket may have 103 characters."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="lk") as name:
        yield Path(name)


@pytest.fixture
def envoys(folder: Path) -> Iterator[list[Envoy]]:
    family = Family(folder / "family")
    found = []
    for name in ("one", "two"):
        own = folder / name
        own.mkdir()
        envoy = Envoy(name, own, family, node=name, cluster="test")
        envoy.start(config())
        found.append(envoy)
    for envoy in found:
        envoy.wait_live()
    yield found
    for envoy in found:
        envoy.admin.close()
    family.close()


def config(**fields: Any) -> Config:
    cluster = {
        "name": "a",
        "type": "EDS",
        "connect_timeout": "1s",
        **fields,
    }
    return Config(clusters=[cluster], endpoints=[{"cluster_name": "a"}])


def dumped_policy(envoy: Envoy) -> str | None:
    (part,) = (
        c for c in envoy.admin.config_dump()["configs"] if c["@type"].endswith("ClustersConfigDump")
    )
    (cluster,) = part["dynamic_active_clusters"]
    policy: str | None = cluster["cluster"].get("lb_policy")
    return policy


def test_a_change_is_in_force_when_apply_returns(envoys: list[Envoy]) -> None:
    envoy = envoys[0]
    envoy.apply(config(lb_policy="RANDOM"))
    assert dumped_policy(envoy) == "RANDOM"
    assert envoy.held().versions["cds"] == envoy.xds.versions["cds"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {
                "lb_policy": "RING_HASH",
                "ring_hash_lb_config": {"minimum_ring_size": 9, "maximum_ring_size": 8},
            },
            "ring",
        ),
        ({"no_such_field": 1}, "no_such_field"),
    ],
)
def test_when_one_refuses_all_go_back_and_the_reason_is_told(
    envoys: list[Envoy], fields: dict[str, Any], reason: str
) -> None:
    one, two = envoys
    for envoy in envoys:
        envoy.apply(config(lb_policy="RANDOM"))
    good, bad = one.stage(config(lb_policy="LEAST_REQUEST")), two.stage(config(**fields))
    assert good is not None
    assert bad is not None
    with pytest.raises(ConfigRejected, match="Envoy two refused") as raised:
        run_changes([good, bad], 5)
    assert reason in str(raised.value)
    assert [dumped_policy(e) for e in envoys] == ["RANDOM", "RANDOM"]
    for envoy in envoys:  # and both can be changed again
        envoy.apply(config(lb_policy="LEAST_REQUEST"))
        assert dumped_policy(envoy) == "LEAST_REQUEST"


def test_one_that_does_not_go_back_keeps_no_other_from_it(
    envoys: list[Envoy], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = envoys
    two.apply(config(lb_policy="RANDOM"))
    late, good = (
        one.stage(config(no_such_field=1)),
        two.stage(config(lb_policy="LEAST_REQUEST")),
    )
    assert late is not None
    assert good is not None

    def not_in_time(timeout_s: float) -> None:
        raise NotReady("one is late")

    monkeypatch.setattr(late, "roll_back", not_in_time)
    with pytest.raises(ConfigRejected, match="Envoy one refused") as raised:
        run_changes([late, good], 5)
    assert "one did not go back" in "".join(raised.value.__notes__)
    assert dumped_policy(two) == "RANDOM"


def test_an_envoy_that_ends_is_named(envoys: list[Envoy]) -> None:
    change = envoys[0].stage(config(lb_policy="RANDOM"))
    assert change is not None
    envoys[0].kill()
    with pytest.raises(EnvoyDied, match="one ended"):
        run_changes([change], 5)


def test_started_again_it_reads_what_it_was_told_last(envoys: list[Envoy]) -> None:
    envoy = envoys[0]
    envoy.apply(config(lb_policy="RANDOM"))
    envoy.kill()
    assert not envoy.serving
    envoy.start()
    envoy.wait_live()
    assert dumped_policy(envoy) == "RANDOM"
