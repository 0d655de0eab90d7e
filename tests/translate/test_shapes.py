"""Rules of the shapes that published files have (Istio's bookinfo and other samples, Online
Boutique), of a museum: accepted, linted, and translated as istiod does.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from labkit.cli.manifests.translate import config_dump, pod_of
from labkit.resources import load
from labkit.resources.lint import lint
from labkit.translate import gateway_config, registry_of, sidecar_config
from tests.each import assert_each

from .recorded import filled
from .test_any_names import whole

RECORD: Any = json.loads((Path(__file__).parent / "data" / "shapes.json").read_text())
FOUND = {
    "door with a list of paths": ["LAB04", "LAB06"],
    "one loses to the other": ["IST0130"],
}
MISSING_PODS = {"IST0173"}
"""Codes of pods that the museum lacks: not every version has one."""


def dump(objects: Any, proxy: str) -> Any:
    registry = registry_of(load(objects))
    if proxy == "gateway":
        return config_dump(gateway_config(registry), registry)
    return config_dump(sidecar_config(registry, pod_of(registry, proxy)), registry)


@pytest.mark.parametrize("proxy", list(RECORD["proxies"]))
def test_a_published_shape_is_translated_as_istiod_does(proxy: str) -> None:
    def holds(case: Any) -> None:
        found = filled(whole(dump([*RECORD["objects"], *case["objects"]], proxy)))
        assert found == filled(RECORD["proxies"][proxy], case["changes"], proxy)

    assert_each(RECORD["cases"].items(), holds)


def test_the_linter_finds_in_it_what_is_wrong_and_no_more() -> None:
    base = load(RECORD["objects"])

    def holds(case: tuple[str, Any]) -> None:
        name, content = case
        found = set(lint(content["objects"], context=base).codes) - MISSING_PODS
        assert sorted(found) == FOUND.get(name, [])

    assert_each(((name, (name, case)) for name, case in RECORD["cases"].items()), holds)
