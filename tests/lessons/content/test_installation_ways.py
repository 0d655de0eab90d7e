"""Which way installs Istio, with what is there."""

from __future__ import annotations

import pytest

from labkit.errors import LessonError
from labkit.lessons.content.installation import INSTALL_METHODS, install_method


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


def test_helm_waits_for_all_but_the_gateway() -> None:
    charts = "--repo=https://istio-release.storage.googleapis.com/charts -n istio-system"
    assert INSTALL_METHODS[1].commands == (
        "kubectl create namespace istio-system",
        f"helm install istio-base base {charts} --wait",
        f"helm install istiod istiod {charts} --wait",
        f"helm install istio-ingressgateway gateway {charts}",
    )
    assert INSTALL_METHODS[2].commands == (
        "minikube addons enable istio-provisioner",
        "minikube addons enable istio",
    )
