"""Names of a package that are imported when first used: a command, or the start of a mesh, should
not wait for what it does not need.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def attach(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package whose names `homes` says where to find, each by
    the module that has it, or by itself where it is a module; relative to the package.

    >>> __getattr__, __dir__ = attach(__name__, {"Verdict": "checks.verdict", "check": "checks.check"})
    """  # noqa: E501

    def get(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(f"{package}.{home}")
        value = module if home.rpartition(".")[2] == name else getattr(module, name)
        setattr(sys.modules[package], name, value)  # not asked again
        return value

    def names() -> list[str]:
        return sorted(sys.modules[package].__all__)

    return get, names
