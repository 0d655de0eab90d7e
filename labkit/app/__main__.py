"""`python -m labkit.app [FILE]`: puts hello_world.py into the ConfigMap of
manifests/hello-world.yaml.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
MANIFEST = HERE.parent.parent / "manifests" / "hello-world.yaml"
START = "  app.py: |\n"
END = "---\n"


def with_app(manifest: str, source: str) -> str:
    """The manifest's text, with `source` as the ConfigMap's app.py and all else, comments too, as
    it was.
    """
    before, start, rest = manifest.partition(START)
    _, end, after = rest.partition("\n" + END)
    if not start or not end:
        raise ValueError(
            f"the manifest has no {START.strip()!r} followed by a line {END.strip()!r}"
        )
    block = "".join(f"    {line}\n" if line else "\n" for line in source.rstrip("\n").split("\n"))
    return f"{before}{START}{block}{END}{after}"


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else MANIFEST
    path.write_text(
        with_app(path.read_text("utf-8"), (HERE / "hello_world.py").read_text("utf-8")), "utf-8"
    )
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
