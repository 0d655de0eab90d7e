"""One change among many Services: only what changes is written, and the mesh stands it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from labkit.mesh.embedded import EmbeddedMesh
from labkit.mesh.embedded.loopback import MOST_WATCHED
from tests.mesh.conftest import URL, virtual_service
from tests.mesh.embedded.test_lifecycle import folder, own
from tests.trust import LONG, measured

__all__ = ["folder", "own"]  # fixtures
MANY = 1000 if LONG else 150  # more than an Envoy could watch files of: Linux gives a user 128
SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: s{0}, namespace: hello-world}}
spec: {{selector: {{app: s{0}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
"""


def written(top: Path) -> dict[Path, int]:
    return {file: file.stat().st_mtime_ns for file in top.rglob("*.json")}


def inotify_of(pid: int) -> int:
    links = (os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir())
    return sum("inotify" in link for link in links)


@pytest.mark.embedded
def test_one_change_among_many_services(own: EmbeddedMesh) -> None:
    controller = own._controller
    before = {pod.name for pod in own.pods()}
    began = time.monotonic()
    own.apply("---".join(SERVICE.format(number) for number in range(MANY)))
    all_of_them = time.monotonic() - began
    took = processor = 0.0
    for number in range(3):
        files = written(controller.folder)
        began, began_cpu = time.monotonic(), time.process_time()
        own.apply(
            virtual_service(
                f"[{{timeout: {number + 1}s, route: [{{destination: {{host: hello-world}}}}]}}]"
            )
        )
        took = max(took, time.monotonic() - began)
        processor = max(processor, time.process_time() - began_cpu)
        changed = [f for f, when in written(controller.folder).items() if files.get(f) != when]
        assert len(changed) == 1
        assert changed[0].name.startswith("rds-")
    assert own.curl(URL, n=20).codes == {200: 20}
    gateway = controller.gateway.sidecar
    assert gateway is not None
    assert gateway.process is not None
    if Path("/proc/self/fd").is_dir():
        assert inotify_of(gateway.process.pid) < MOST_WATCHED
    # one Service has an endpoint, and it still comes by a file of its own
    own.scale("hello-world-v1", 2)
    new = {pod.name for pod in own.pods()} - before
    own.wait_for(lambda: new <= set(own.curl(URL, n=20).pods), "the new pod to answer")
    measured(
        "many-services",
        f"one change of a rule among {MANY:,} Services",
        "one file is written anew; with that many, Envoy is spared the watches that it would "
        "run out of",
        files_written=1,
        change_s=took,
        of_it_processor_s=processor,
        applying_all_s=all_of_them,
        lost=0,
    )
