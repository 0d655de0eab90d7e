"""Every error that labkit raises on purpose.

    LabkitError
    ├── ManifestError          a manifest can't be used
    │   ├── ParseError         it is not YAML, or not a Kubernetes object
    │   └── ValidationError    Kubernetes or Istio would refuse it
    ├── UnsupportedError       valid on a cluster, but not supported by this mesh
    ├── EnvoyError             something about an Envoy process
    │   ├── EnvoyUnavailable   there is no Envoy for this machine
    │   ├── EnvoyDied          a process ended unexpectedly
    │   └── ConfigRejected     an Envoy rejected a configuration; the previous one stays in effect
    ├── MeshError              the mesh can't do what was asked
    │   ├── NotFound           no such object, pod or proxy
    │   └── NotReady           a condition was not met in time
    ├── TrafficError           a request could not be sent at all
    └── LessonError            a lesson, check or exercise was used wrongly

A message says three things: what failed, what was seen, and what to type next.
"""

from __future__ import annotations

import errno

NO_MORE_FILES = frozenset({errno.EMFILE, errno.ENFILE})
"""How the system says that a process, or all together, may open no more files or connections."""
MORE_FILES = "`ulimit -n 4096` in the shell that starts JupyterLab allows more; or close meshes"


class LabkitError(Exception):
    """Base of the tree. In a notebook it shows as its message alone, without a traceback.

    >>> raise LabkitError(
    ...     "The pod did not start", seen="exit status 1", try_next="mesh.logs('hello-world-v1')"
    ... )
    """

    def __init__(self, message: str, *, seen: str = "", try_next: str = "") -> None:
        self.message = message
        self.seen = seen
        self.try_next = try_next
        lines = [message]
        if seen:
            lines.append(f"  seen: {shorten(seen)}")
        if try_next:
            lines.append(f"  next: {try_next}")
        super().__init__("\n".join(lines))

    def _render_traceback_(self) -> list[str]:
        """What IPython prints instead of a traceback: a learner's mistake needs
        words, not frames.
        """
        return [f"{type(self).__name__}: {self}"]


class ManifestError(LabkitError):
    """A manifest can't be used."""


class ParseError(ManifestError):
    """The text is not YAML, or not a Kubernetes object."""


class ValidationError(ManifestError):
    """Kubernetes or Istio would refuse the manifest."""


class UnsupportedError(LabkitError):
    """Valid on a cluster, but not supported by this mesh."""


class EnvoyError(LabkitError):
    """Something about an Envoy process."""


class EnvoyUnavailable(EnvoyError):
    """There is no Envoy for this machine."""


class EnvoyDied(EnvoyError):
    """A process ended unexpectedly."""


class ConfigRejected(EnvoyError):
    """An Envoy rejected a configuration; the previous one is still in effect."""


class MeshError(LabkitError):
    """The mesh can't do what was asked."""


class NotFound(MeshError):
    """No such object, pod or proxy."""


class NotReady(MeshError):
    """A condition was not met in time."""


class TrafficError(LabkitError):
    """A request could not be sent at all."""


class LessonError(LabkitError):
    """A lesson, check or exercise was used wrongly."""


def shorten(text: str, limit: int = 2000) -> str:
    """Cuts a long body in the middle, so that its start and its end are both kept."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} … ({len(text) - limit} characters left out) … {text[-half:]}"
