"""The ways to install Istio on a cluster: what each needs, which versions of Istio it can install,
and what to type.

They are the ways of `labkit up`, and these are its commands in short.

Source of the versions: Istio deprecated its in-cluster operator in 1.23 and removed it in 1.24 (its
release notes), and Minikube's add-on relies on that operator (kubernetes/minikube#21194).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from labkit.errors import LessonError

NEWEST = (1, 31)
CHARTS = "https://istio-release.storage.googleapis.com/charts"


@dataclass(frozen=True)
class Way:
    """One way to install Istio. `last`: the last version of Istio that it can install, or None."""

    name: str
    needs: tuple[str, ...]
    commands: tuple[str, ...]
    last: tuple[int, int] | None = None

    def installs(self, version: tuple[int, int]) -> bool:
        return self.last is None or version <= self.last

    def __repr__(self) -> str:
        note = f" (up to Istio {'.'.join(map(str, self.last))})" if self.last else ""
        return f"{self.name}{note}:\n" + "\n".join(f"  {command}" for command in self.commands)


# in the order in which Istio's makers prefer them
WAYS = (
    Way("istioctl", ("istioctl",), ("istioctl install --set profile=default -y",)),
    Way(
        "helm",
        ("helm",),
        (
            "kubectl create namespace istio-system",
            f"helm install istio-base base --repo={CHARTS} -n istio-system",
            f"helm install istiod istiod --repo={CHARTS} -n istio-system --wait",
            f"helm install istio-ingressgateway gateway --repo={CHARTS} -n istio-system",
        ),
    ),
    Way(
        "minikube add-ons",
        ("minikube",),
        ("minikube addons enable istio-provisioner", "minikube addons enable istio"),
        last=(1, 23),
    ),
)


def way_to_install(there: Collection[str], version: tuple[int, int] = NEWEST) -> Way:
    """The best way with these programs; LessonError when none of them can install that version of
    Istio.

    >>> way_to_install(["minikube", "helm"]).name
    'helm'
    """
    for way in WAYS:
        if set(way.needs) <= set(there) and way.installs(version):
            return way
    wanted = ".".join(map(str, version))
    raise LessonError(
        f"None of these programs can install Istio {wanted}",
        seen=", ".join(there) or "no program",
        try_next="get istioctl (it comes with each release of Istio) or Helm",
    )
