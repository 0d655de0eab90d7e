"""Which way installs Istio, with what is there."""

from __future__ import annotations

import pytest

from labkit.errors import LessonError
from labkit.lessons.content.installation import CHARTS, INSTALL_METHODS, install_method
from labkit.setup import installers


@pytest.mark.parametrize(
    ("there", "version", "name"),
    [
        (("minikube", "helm", "istioctl"), (1, 31), "istioctl"),
        (("minikube", "helm"), (1, 31), "helm"),
        (("minikube",), (1, 23), "minikube add-ons"),
    ],
)
def test_the_best_way_with_what_is_there(
    there: tuple[str, ...], version: tuple[int, int], name: str
) -> None:
    assert install_method(there, version).name == name


@pytest.mark.parametrize("there", [(), ("minikube",)])
def test_the_add_ons_alone_install_no_istio_of_today(there: tuple[str, ...]) -> None:
    with pytest.raises(LessonError, match="istioctl"):
        install_method(there)


def test_each_way_says_what_to_type() -> None:
    assert all(way.commands and way.needs and way.name in repr(way) for way in INSTALL_METHODS)
    assert repr(INSTALL_METHODS[0]) == "istioctl:\n  istioctl install --set profile=default -y"
    assert repr(INSTALL_METHODS[-1]).startswith("minikube add-ons (up to Istio 1.23):\n")


def test_the_ways_are_those_of_labkit_up() -> None:
    """The lesson's words and what `labkit up` runs: the same order, releases, charts and
    repository.
    """
    assert [way.needs[0] for way in INSTALL_METHODS] == [
        installers.Istioctl.program,
        installers.Helm.program,
        "minikube",
    ]
    assert CHARTS == installers.REPOSITORY
    helm = INSTALL_METHODS[1].commands[1:]
    for command, (release, (chart, _)) in zip(helm, installers.RELEASES.items(), strict=True):
        assert command.startswith(f"helm install {release} {chart} ")
    assert INSTALL_METHODS[2].commands == tuple(
        f"minikube addons enable {name}"
        for name in (installers.Addons.provisioner, installers.Addons.addon)
    )
