"""The methods of installing Istio on a cluster: what each needs, which versions of Istio it can
install, and what to type.

They are those of `labkit up`, and these are its commands in short.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from labkit.errors import LessonError
from labkit.mesh.cluster.istio import TESTED
from labkit.resources.istio import NAMESPACE
from labkit.setup.installers import (
    ISTIOCTL_PROFILE,
    RELEASES,
    REPOSITORY,
    Addons,
    Helm,
    Istioctl,
    waits,
)

NEWEST = TESTED[1]


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
    InstallMethod(
        Istioctl.name, (Istioctl.program,), (f"istioctl install --set {ISTIOCTL_PROFILE} -y",)
    ),
    InstallMethod(
        Helm.name,
        (Helm.program,),
        (
            f"kubectl create namespace {NAMESPACE}",
            *(
                f"helm install {release} {chart} --repo={REPOSITORY} -n {NAMESPACE}"
                + (" --wait" if waits(release) else "")
                for release, (chart, _) in RELEASES.items()
            ),
        ),
    ),
    InstallMethod(
        "minikube add-ons",
        (Addons.program,),
        tuple(f"minikube addons enable {name}" for name in (Addons.provisioner, Addons.addon)),
        last=Addons.last,
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
