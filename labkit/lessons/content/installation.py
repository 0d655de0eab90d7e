"""The methods of installing Istio on a cluster: what each needs, which versions of Istio it can
install, and what to type.

They are those of `labkit up`, and these are its commands in short.

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
class InstallMethod:
    """One way to install Istio. `last`: the newest version of Istio that it can install, or None
    for any.
    """

    name: str
    needs: tuple[str, ...]
    commands: tuple[str, ...]
    last: tuple[int, int] | None = None

    def installs(self, version: tuple[int, int]) -> bool:
        """Whether it can install this version of Istio, (major, minor)."""
        return self.last is None or version <= self.last

    def __repr__(self) -> str:
        note = f" (up to Istio {'.'.join(map(str, self.last))})" if self.last else ""
        return f"{self.name}{note}:\n" + "\n".join(f"  {command}" for command in self.commands)


# in the order in which the Istio project recommends them
INSTALL_METHODS = (
    InstallMethod("istioctl", ("istioctl",), ("istioctl install --set profile=default -y",)),
    InstallMethod(
        "helm",
        ("helm",),
        (
            "kubectl create namespace istio-system",
            f"helm install istio-base base --repo={CHARTS} -n istio-system",
            f"helm install istiod istiod --repo={CHARTS} -n istio-system --wait",
            f"helm install istio-ingressgateway gateway --repo={CHARTS} -n istio-system",
        ),
    ),
    InstallMethod(
        "minikube add-ons",
        ("minikube",),
        ("minikube addons enable istio-provisioner", "minikube addons enable istio"),
        last=(1, 23),
    ),
)


def install_method(there: Collection[str], version: tuple[int, int] = NEWEST) -> InstallMethod:
    """The preferred method that these programs allow; `version` is (major, minor).

    LessonError when none of them can install that version of Istio.

    >>> install_method(["minikube", "helm"]).name
    'helm'
    """
    for method in INSTALL_METHODS:
        if set(method.needs) <= set(there) and method.installs(version):
            return method
    wanted = ".".join(map(str, version))
    raise LessonError(
        f"None of these programs can install Istio {wanted}",
        seen=", ".join(there) or "no program",
        try_next="get istioctl (it comes with each release of Istio) or Helm",
    )
