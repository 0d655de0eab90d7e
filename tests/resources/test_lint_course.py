"""The course's own manifests: the linter finds what is wrong on purpose, and nothing else."""

from __future__ import annotations

import functools
from pathlib import Path

from labkit.errors import ManifestError
from labkit.resources import Resource, load
from labkit.resources.istio import gateway_key
from labkit.resources.lint import lint
from labkit.resources.rules.shape import has_shape
from labkit.resources.yaml.loading import Loadable
from tests.each import assert_each

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
HELLO = MANIFESTS / "hello-world.yaml"

ON_PURPOSE = {
    "01_installation/misspelt.yaml": {"IST0106"},
    # the article's port 8080, and why it works
    "04_gateway_and_virtual_service/gateway-any-host.yaml": {"LAB04"},
    "04_gateway_and_virtual_service/hosts-misplaced.yaml": {"IST0106"},
    "05_session_affinity/user-header.yaml": {"LAB09"},  # callers of that lesson send the header
    "06_outlier_detection/seven-errors.yaml": {"LAB07"},  # the article's rule: nobody leaves
    # so tight that a handful of requests meets the limit
    "07_connection_pools/one-and-one.yaml": {"LAB08"},
    "07_connection_pools/two-and-three.yaml": {"LAB08"},
    "07_connection_pools/two-connections.yaml": {"LAB08"},
    # the article's prefix, put right in the same lesson
    "08_subsets_and_rewrite/prefix.yaml": {"LAB06"},
    "08_subsets_and_rewrite/keeps-users.yaml": {"LAB09"},  # its callers send the header
    "11_mistake_gallery/exercise.yaml": {"IST0101", "IST0132", "IST0173"},
    "12_capstone/solution/stock-rule.yaml": {"LAB09"},  # its callers send the header
    "as-published/published-02-gateway.yaml": {"IST0106"},
    "as-published/published-05-destinationrule.yaml": {"LAB01"},
    "as-published/published-07-destinationrule.yaml": {"LAB08"},
    "as-published/published-09-virtualservice.yaml": {"LAB06"},
    "as-published/published-11-virtualservice.yaml": {"IST0130", "KIA1104"},
}
"""Files that are wrong in a lesson on purpose, with what the linter says. Traps of the gallery have
their own tests.
"""

# what is called broken is wrong by design, and has tests of its own
FILES = sorted(
    path for path in MANIFESTS.rglob("*.yaml") if "broken" not in (path.stem, path.parent.name)
)


def test_there_are_manifests_and_each_exception_is_one() -> None:
    names = {path.relative_to(MANIFESTS).as_posix() for path in FILES}
    assert len(names) > 30
    assert set(ON_PURPOSE) <= names


def test_nothing_is_found_that_is_not_there_on_purpose() -> None:
    def as_meant(path: Path) -> None:
        context: list[Loadable] = [] if kinds(path) & {"Namespace"} else [HELLO]
        context += gateways(path)
        found = lint(path, context=context)
        assert set(found.codes) == ON_PURPOSE.get(path.relative_to(MANIFESTS).as_posix(), set())

    assert_each(((path.relative_to(MANIFESTS).as_posix(), path) for path in FILES), as_meant)


def objects(path: Path) -> list[Resource]:
    try:
        return load(path, strict=False)
    except ManifestError:
        return []


def kinds(path: Path) -> set[str]:
    return {resource.kind for resource in objects(path)}


@functools.cache
def known() -> dict[tuple[str, str], Resource]:
    """The Gateways of all lessons."""
    every = [each for path in FILES for each in objects(path) if each.kind == "Gateway"]
    return {(each.namespace, each.name): each for each in every if has_shape(each)}


def gateways(path: Path) -> list[Resource]:
    """Those that the VirtualServices of a file name, where the file itself has none."""
    if "Gateway" in kinds(path):
        return []
    named = {
        gateway_key(name, each.namespace)
        for each in objects(path)
        if each.kind == "VirtualService"
        for name in each.spec.get("gateways") or ()
    }
    return [known()[key] for key in named if key in known()]
