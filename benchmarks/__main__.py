"""All benchmarks, one after the other: `python -m benchmarks`, or some of them by name."""

from __future__ import annotations

import importlib
import sys

NAMES = ("startup", "apply", "memory", "generator", "course")
WHEN_ASKED = ("barrier", "panels")  # one needs a cluster, the other a browser

for name in sys.argv[1:] or NAMES:
    if name not in (*NAMES, *WHEN_ASKED):
        sys.exit(f"There is no benchmark {name!r}; there are: {', '.join((*NAMES, *WHEN_ASKED))}")
    importlib.import_module(f"benchmarks.{name}").run()
