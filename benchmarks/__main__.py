"""All benchmarks, one after the other: `python -m benchmarks`, or some of them by name."""

from __future__ import annotations

import importlib
import sys

NAMES = ("startup", "apply", "memory", "generator", "course")

for name in sys.argv[1:] or NAMES:
    if name not in NAMES:
        sys.exit(f"There is no benchmark {name!r}; there are: {', '.join(NAMES)}")
    importlib.import_module(f"benchmarks.{name}").run()
