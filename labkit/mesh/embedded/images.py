"""Which container images the embedded mesh can run, and as what.

| image                      | command                   | runs as                                              |
|----------------------------|---------------------------|------------------------------------------------------|
| python:3.*                 | python3 [-u] …/app.py     | the course's application, when the mounted file is it |
| curlimages/curl, busybox   | sleep …                   | a process that waits (a place to call from)           |

Anything else is refused by name. The application runs under this machine's own Python: the image is
only a name here.
"""  # noqa: E501

from __future__ import annotations

import importlib.resources
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labkit.app import FILES
from labkit.errors import UnsupportedError
from labkit.resources import istio
from labkit.translate.fates import refused_in

PYTHON = re.compile(r"^(docker\.io/library/|docker\.io/|library/)?python:3(\.\d+)*(-[a-z0-9.]+)*$")
WAITING = re.compile(r"^(docker\.io/)?(curlimages/curl|library/busybox|busybox)(:[\w.-]+)?$")
WAIT = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit(0)); signal.pause()"


@dataclass(frozen=True)
class ContainerProgram:
    """What to start for a container: its arguments, its environment, and whether it listens."""

    container: str
    image: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    port: int | None  # the containerPort it listens on, or None


def app_path() -> str:
    """The course's application; the other files that it needs are beside it."""
    return str(importlib.resources.files("labkit.app") / FILES["app.py"])


def app_files() -> dict[str, str]:
    """The text of each of its files, by its key in the ConfigMap."""
    folder = importlib.resources.files("labkit.app")
    return {key: (folder / name).read_text(encoding="utf-8") for key, name in FILES.items()}


def program_of(
    template: Mapping[str, Any], owner: str, files: Mapping[str, Mapping[str, str]]
) -> ContainerProgram:
    """The program for a pod template. `files`: the data of the ConfigMaps of its namespace, by
    name.

    Raises UnsupportedError naming the image, or what about it is not known here.
    """
    spec = template.get("spec") or {}
    containers = spec.get("containers") or []
    if len(containers) != 1:
        raise refused(
            owner,
            f"{len(containers)} containers in one pod",
            "one container (the sidecar is not counted)",
        )
    for path, why in refused_in("Pod", template, when_run=True):
        raise refused(owner, path, why=why)
    container = containers[0]
    image, name = str(container.get("image", "")), str(container.get("name", ""))
    words = [str(w) for w in (container.get("command") or []) + (container.get("args") or [])]
    env = {
        str(e["name"]): str(e.get("value", ""))
        for e in container.get("env") or []
        if "valueFrom" not in e
    }
    ports = [int(p["containerPort"]) for p in container.get("ports") or []]
    if PYTHON.match(image) and re.fullmatch(r"python3?( -u)? \S+\.py", " ".join(words)):
        mounted(template, owner, words[-1], files)
        if len(ports) > 1:
            raise refused(owner, f"{len(ports)} container ports", "one port")
        return ContainerProgram(
            name,
            image,
            (sys.executable, "-E", "-s", "-S", "-u", app_path()),  # -I would hide its sisters
            env,
            ports[0] if ports else 8080,
        )
    if WAITING.match(image) and words and words[0] == "sleep":
        return ContainerProgram(name, image, (sys.executable, "-I", "-S", "-c", WAIT), env, None)
    shown = (
        f"image {image!r} with command {' '.join(words)!r}"
        if words
        else f"image {image!r} with its own command"
    )
    raise refused(
        owner,
        shown,
        "python:3.* running the course's app.py, and curlimages/curl with `sleep infinity`",
    )


def check_gateway(template: Mapping[str, Any], owner: str) -> None:
    """Raises UnsupportedError for a gateway whose pod is more than the proxy that is injected."""
    spec = template.get("spec") or {}
    containers = [(str(c.get("name")), str(c.get("image"))) for c in spec.get("containers") or []]
    if containers != [(istio.PROXY, "auto")]:
        raise refused(
            owner,
            f"a gateway with the containers {', '.join(name for name, _ in containers) or 'none'}",
            f"one container {istio.PROXY} of image auto, which injection fills in",
        )


def mounted(
    template: Mapping[str, Any], owner: str, path: str, files: Mapping[str, Mapping[str, str]]
) -> None:
    """Looks whether the file at `path` in the pod is the course's application, from a ConfigMap."""
    spec = template["spec"]
    mounts = {
        str(m["name"]): str(m["mountPath"]).rstrip("/")
        for m in spec["containers"][0].get("volumeMounts") or []
    }
    folder, _, key = path.rpartition("/")
    for volume in spec.get("volumes") or []:
        config_map = (volume.get("configMap") or {}).get("name")
        if not config_map or mounts.get(str(volume["name"])) != folder:
            continue
        if config_map not in files:
            raise refused(
                owner,
                f"the volume {volume['name']!r}: there is no ConfigMap {config_map!r}",
                "apply it first",
            )
        if key not in files[config_map]:
            raise refused(
                owner,
                f"no file {key!r} in the ConfigMap {config_map!r}",
                "the key that the command names",
            )
        for name, wanted in app_files().items():
            shown = key if name == "app.py" else name
            text = files[config_map].get(shown)
            if text is None or text.strip() != wanted.strip():
                raise refused(
                    owner,
                    f"the program {shown!r} of ConfigMap {config_map!r}, which is not the course's "
                    "application",
                    "the files of labkit/app as they are (manifests/hello-world.yaml has them); "
                    "another program could listen on every address of this machine",
                )
        return
    raise refused(
        owner,
        f"the command's file {path!r}, which no ConfigMap volume provides",
        "a volume as in hello-world.yaml",
    )


def refused(owner: str, seen: str, known: str = "", *, why: str = "") -> UnsupportedError:
    """The error that says what of a pod template can't be run here, and what can, or why not."""
    return UnsupportedError(
        f"The embedded mesh can't run {owner}: {seen}",
        seen=why or f"known here: {known}",
        try_next=f"{'leave it out' if why else 'use one of those'}, or a cluster: "
        "labkit.open_mesh('cluster')",
    )
