"""Fortio in the cluster: a pod in the namespace of the run, made when it is first asked for, gone
with the run.
"""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from labkit.errors import UnsupportedError
from labkit.jsontypes import Json
from labkit.mesh.cluster.client.api import Api, path_of
from labkit.mesh.cluster.client.streams import PodStream
from labkit.mesh.cluster.pods import info, why_not
from labkit.resources import istio
from labkit.traffic.plan import Load
from labkit.traffic.programs.fortio import arguments
from labkit.traffic.programs.fortio_stream import IMAGE, LOG, RESULT
from labkit.traffic.target import split_authority

NAME = "fortio"
SERVICE = istio.service_host(istio.GATEWAY, istio.NAMESPACE)
READY_S = 90.0
LOOK_S = 0.5


class ClusterFortio:
    """Sends load from inside the cluster to the ingress gateway's Service, past every port-forward.

    A pod that stays, and a command in it for each run: a Job would take seconds to start each time,
    and its log mixes what Fortio writes to its two outputs.
    """

    where = "in the cluster"

    def __init__(self, api: Api, namespace: str) -> None:
        self.api, self.namespace = api, namespace

    def pod(self) -> Json:
        """The pod that Fortio runs in, without a sidecar."""
        server = {
            "name": NAME,
            "image": IMAGE,
            "args": ["server"],
            "imagePullPolicy": "IfNotPresent",
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": NAME,
                "namespace": self.namespace,
                "labels": {"app": NAME, "sidecar.istio.io/inject": "false"},
            },
            "spec": {"containers": [server], "terminationGracePeriodSeconds": 0},
        }

    def ready(self) -> None:
        """Makes the pod if need be, and waits until it runs."""
        path = path_of("Pod", self.namespace, NAME)
        if self.api.find(path) is None:
            self.api.put(path, self.pod())

        def explain() -> str:
            return why_not({p["metadata"]["name"]: p for p in self.api.list("Pod", self.namespace)})

        what = f"the pod {NAME!r} (image {IMAGE}) to run"
        self.api.wait(
            path_of("Pod", self.namespace),
            lambda found: NAME in found and info(found[NAME]).is_ready,
            READY_S,
            what,
            explain,
            name=NAME,
        )

    def command(self, load: Load) -> list[str]:
        """Fortio's command line: where the load goes is the gateway's Service, and the Host header
        says to whom.

        >>> " ".join(ClusterFortio(api, "labkit-marker-1").command(load))
        'fortio load -quiet … -H Host: test.example.com
        http://istio-ingressgateway.istio-system.svc.cluster.local:80/'
        """
        _, port = split_authority(load.fields["Host"])
        return arguments("fortio", replace(load, host=SERVICE, port=port), RESULT, LOG)

    @contextmanager
    def start(self, load: Load) -> Iterator[Iterator[bytes]]:
        """Runs one load; what Fortio writes to its standard output, as it comes."""
        self.ready()
        stream = PodStream.to_command(self.api, self.namespace, NAME, NAME, self.command(load))
        try:
            yield parts(stream)
        finally:
            stream.close()


def parts(stream: PodStream) -> Iterator[bytes]:
    """What a command writes to its standard output, until it ends; b"" now and then."""
    while not stream.ended:
        if stream.pending() or select.select([stream], [], [], LOOK_S)[0]:
            yield stream.step()
        else:
            yield b""


def refuse_source(source: str | None) -> None:
    """Raises UnsupportedError where load is to come from a pod."""
    if source is not None:
        raise UnsupportedError(
            "Fortio in the cluster calls through the ingress gateway only",
            seen=f"source={source!r}",
            try_next='leave program="cluster" out: the load then comes from that pod',
        )
