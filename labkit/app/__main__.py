"""`python -m labkit.app [FILE]`: puts the files of the application into the ConfigMap of
manifests/hello-world.yaml.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from labkit.app import FILES

HERE = Path(__file__).parent
MANIFEST = HERE.parent.parent / "manifests" / "hello-world.yaml"
START = "\n  app.py: |\n"
END = "\n---\n"


def sources() -> dict[str, str]:
    """The text of each key of the ConfigMap."""
    return {key: (HERE / name).read_text("utf-8") for key, name in FILES.items()}


def with_app(manifest: str, files: Mapping[str, str]) -> str:
    """The manifest's text, with `files` as the ConfigMap's data and all else, comments too, as it
    was. Raises ValueError where the manifest has no such ConfigMap.
    """
    before, start, rest = manifest.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(
            f"the manifest has no {START.strip()!r} followed by a line {END.strip()!r}"
        )
    data = "".join(f"  {key}: |\n{block(text)}" for key, text in files.items())
    return f"{before}\n{data}{END.removeprefix(chr(10))}{after}"


def block(text: str) -> str:
    """A text as a literal block of YAML, four columns in."""
    lines = text.rstrip("\n").split("\n")
    return "".join(f"    {line}\n" if line else "\n" for line in lines)


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else MANIFEST
    path.write_text(with_app(path.read_text("utf-8"), sources()), "utf-8")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
