"""The hello-world service of the course: says which pod and which version answered, and misbehaves
on request.

    VERSION=v1 PORT=8080 python3 hello_world.py   # prints "listening on 8080, controls on 8081"
    curl http://localhost:8080/                   # Hello world! version v1, pod my-host, path /
    curl http://localhost:8080/ready              # 200 or 503, for a readiness probe: not counted
    curl -X POST 'http://localhost:8081/control/fail?next=7'       # the next seven fail with 503
    curl -X POST 'http://localhost:8081/control/delay?ms=200'      # every request takes 200 ms
    curl -X POST 'http://localhost:8081/control/gate?closed=true'  # requests wait until it opens
    curl http://localhost:8081/control/state                       # what it counted

The controls have a port of their own, which listens on 127.0.0.1 only. In a pod that is the pod's
own loopback: a port-forward and `kubectl exec` get there; a Service, a gateway or another pod does
not. So nobody whose requests a pod serves can change how it answers. Where LABKIT_CONTROL_TOKEN is
set, they also want its text as the header x-labkit-token: on a learner's machine every program
shares the loopback.

This file and its sisters, server.py and wire.py, run as a local process and, from a ConfigMap, in a
pod with a stock Python image. So they use the standard library only, and little of that (server.py
says why). What is rarely needed (json, random) is imported when it is.
"""

from __future__ import annotations

import os
import socket
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` would cost 5 ms
    from collections.abc import Callable
    from typing import Any

    from labkit.app.server import Connection
    from labkit.app.wire import Request

    Reply = tuple[int, str, str]  # status, headers up to the content length, body
if TYPE_CHECKING or __package__:
    from labkit.app.server import Server
    from labkit.app.wire import BadRequest
else:  # a script beside its sisters, in a pod or here: there is no package
    from server import Server
    from wire import BadRequest

MAX_LINES = 200
"""Of the access log a second: a load test would fill the disk with a megabyte a second."""
CONTROL_PORT = 8081  # labkit.app.CONTROL_PORT

# Okabe and Ito's colours, which most kinds of colour blindness tell apart.
COLOURS = {"v1": "#0072B2", "v2": "#D55E00", "v3": "#009E73"}

CONTROLS = """\
GET  /control/state                               what this pod counted, and its settings, as JSON
POST /control/fail?next=N&share=0.3&status=503    fail the next N requests, or a share of them
POST /control/delay?ms=200&jitter_ms=0            answer late: by ms and a random part of jitter_ms
POST /control/gate?closed=true|false              hold requests until the gate opens
POST /control/ready?ok=true|false                 what GET /ready says on the port of the traffic
POST /control/reset                               all of it back to the start, counters too
"""


def number(text: str, lowest: float, highest: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = lowest - 1
    if not lowest <= value <= highest:
        raise BadRequest(400, f"{text!r} is not a number from {lowest} to {highest}")
    return value


def whole(text: str, lowest: int, highest: int) -> int:
    if not (text.isascii() and text.isdigit() and lowest <= int(text[:12]) <= highest):
        raise BadRequest(400, f"{text!r} is not a whole number from {lowest} to {highest}")
    return int(text)


def truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise BadRequest(400, f"{text!r} is neither true nor false")
    return text.lower() == "true"


def escape(text: str) -> str:
    return (
        text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    )


class AccessLog:
    """A line a request on standard output, written in one go after each round of the loop."""

    def __init__(self, on: bool) -> None:
        self.on = on
        self.lines: list[str] = []
        self.second, self.stamp, self.logged = -1, "", 0

    def add(self, request: Request, status: int) -> None:
        if not self.on:
            return
        now = time.time()
        if int(now) != self.second:
            if self.logged > MAX_LINES:
                self.lines.append(
                    f"{self.stamp} and {self.logged - MAX_LINES} more in this second\n"
                )
            self.second, self.logged = int(now), 0
            self.stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        self.logged += 1
        if self.logged > MAX_LINES:
            return
        took = (time.monotonic() - request.arrived) * 1000
        self.lines.append(
            f"{self.stamp}.{int(now * 1000) % 1000:03d}Z {request.method} {request.path} "
            f"{status} {took:.1f}ms\n"
        )

    def write(self) -> None:
        if not self.lines:
            return
        text = "".join(self.lines).encode("utf-8", "replace")
        self.lines.clear()
        try:
            os.write(1, text)
        except OSError:  # nobody reads it any more
            self.on = False


class App:
    """The port of the traffic: who answers, faults, delays, the gate, and what was counted."""

    def __init__(self, version: str, pod: str, log: AccessLog) -> None:
        self.version, self.pod, self.log = version, pod, log
        self.server = Server(log.write)
        self.held: list[Connection] = []  # whose request waits at the gate
        self.delayed: dict[Connection, Request] = {}
        self.reset()
        identity = f"x-pod: {pod}\r\nx-version: {version}\r\n"
        self.plain = f"content-type: text/plain; charset=utf-8\r\n{identity}content-length: "
        self.html = f"content-type: text/html; charset=utf-8\r\n{identity}content-length: "
        self.json = f"content-type: application/json\r\n{identity}content-length: "
        self.in_flight = 0

    def reset(self) -> None:
        self.received = self.served = self.failed = 0
        self.fail_next, self.fail_share, self.fail_status = 0, 0.0, 503
        self.delay_ms = self.jitter_ms = 0.0
        self.gate_closed = False
        self.ready = True
        self.random: Callable[[], float] | None = None

    def chance(self) -> float:
        if self.random is None:
            from random import Random  # 10 ms, so only for those who ask for it

            self.random = Random().random
        return self.random()

    def delay_s(self) -> float:
        if self.jitter_ms:
            return (self.delay_ms + self.chance() * self.jitter_ms) / 1000
        return self.delay_ms / 1000

    def handle(self, connection: Connection, request: Request) -> None:
        if request.path == "/ready" and request.method in ("GET", "HEAD"):  # a probe is no traffic
            status, text = (200, "ready\n") if self.ready else (503, "not ready\n")
            self.server.answer(connection, status, self.plain, text)
            return
        self.received += 1
        self.in_flight += 1
        if self.gate_closed:
            self.held.append(connection)
        else:
            self.after_gate(connection, request)

    def gone(self, connection: Connection) -> None:
        self.in_flight -= 1
        if connection in self.held:
            self.held.remove(connection)
        self.delayed.pop(connection, None)

    def open_gate(self) -> None:
        held, self.held = self.held, []
        for connection in held:
            if connection.waiting is not None:
                self.after_gate(connection, connection.waiting)

    def after_gate(self, connection: Connection, request: Request) -> None:
        delay = self.delay_s()
        if not delay:
            self.finish(connection, request)
            return

        def due() -> None:
            if self.delayed.get(connection) is request:  # else its client has gone, or a reset came
                del self.delayed[connection]
                self.finish(connection, request)

        self.delayed[connection] = request
        self.server.call_at(time.monotonic() + delay, due)

    def end_delays(self) -> None:
        delayed, self.delayed = self.delayed, {}
        for connection, request in delayed.items():
            if connection.waiting is request:
                self.finish(connection, request)

    def finish(self, connection: Connection, request: Request) -> None:
        self.in_flight -= 1
        status, headers, text = self.answer(request)
        self.log.add(request, status)
        self.server.answer(connection, status, headers, text)

    def answer(self, request: Request) -> Reply:
        """The status, headers and body for a request that is neither delayed nor
        held (any more).
        """
        status = 200
        if self.fail_next:
            self.fail_next -= 1
            status = self.fail_status
        elif self.fail_share and self.chance() < self.fail_share:
            status = self.fail_status
        if status == 200:
            self.served += 1
            said = "Hello world!"
        else:
            self.failed += 1
            said = f"Failed on request with {status}."
        if "text/html" in request.headers.get("accept", ""):
            return status, self.html, self.page(said, request.path)
        return (
            status,
            self.plain,
            f"{said} version {self.version}, pod {self.pod}, path {request.path}\n",
        )

    def page(self, said: str, path: str) -> str:
        colour = COLOURS.get(self.version, "#CC79A7")
        return (
            '<!doctype html><html lang="en"><meta '
            f'charset="utf-8"><title>{escape(self.version)}: hello world</title>'
            '<body style="font:24px '
            f'sans-serif;background:{colour};color:#fff;text-align:center;padding:15vh 1em">'
            f"<h1>{said}</h1><p>version <b>{escape(self.version)}</b></p>"
            f"<p>pod {escape(self.pod)}, path {escape(path)}</p></body></html>\n"
        )

    def state(self) -> Reply:
        from json import dumps

        state: dict[str, Any] = {
            "pod": self.pod,
            "version": self.version,
            "received": self.received,
            "served": self.served,
            "failed": self.failed,
            "held": len(self.held),
            "in_flight": self.in_flight,
            "fail_next": self.fail_next,
            "fail_share": self.fail_share,
            "fail_status": self.fail_status,
            "delay_ms": self.delay_ms,
            "jitter_ms": self.jitter_ms,
            "gate": "closed" if self.gate_closed else "open",
            "ready": self.ready,
        }
        return 200, self.json, dumps(state) + "\n"


class Controls:
    """The port of the controls. `token`: what the header x-labkit-token must be, or empty."""

    def __init__(self, app: App, token: str) -> None:
        self.app, self.token = app, token

    def handle(self, connection: Connection, request: Request) -> None:
        try:
            self.admit(request)
            self.control(request)
            reply = self.app.state()
        except BadRequest as error:
            reply = error.status, self.app.plain, f"{error}\nthere are:\n{CONTROLS}"
        self.app.server.answer(connection, *reply)

    def gone(self, connection: Connection) -> None:
        raise AssertionError("a control is answered at once")

    def admit(self, request: Request) -> None:
        """Raises BadRequest for who may not use the controls."""
        if "origin" in request.headers:  # a browser says so of a page's request to another site
            raise BadRequest(403, "the controls are not for web pages")
        given = request.headers.get("x-labkit-token", "")
        # compares all of it whatever comes first, so that the time it takes says nothing
        differ = sum(a != b for a, b in zip(given, self.token, strict=False))
        if self.token and (differ or len(given) != len(self.token)):
            raise BadRequest(403, "the header x-labkit-token is missing or is not this mesh's")

    def control(self, request: Request) -> None:
        """Does what a request under /control/ asks; the answer is the state after it."""
        app = self.app
        name = request.path.removeprefix("/control/")
        given: dict[str, str] = {}
        for pair in request.query.split("&") if request.query else ():
            key, _, value = pair.partition("=")
            given[key] = value
        allowed: dict[str, tuple[str, tuple[str, ...]]] = {
            "state": ("GET", ()),
            "fail": ("POST", ("next", "share", "status")),
            "delay": ("POST", ("ms", "jitter_ms")),
            "gate": ("POST", ("closed",)),
            "ready": ("POST", ("ok",)),
            "reset": ("POST", ()),
        }
        if name not in allowed or name == request.path:
            raise BadRequest(400, f"there is no control {request.path!r}")
        method, keys = allowed[name]
        if request.method != method and not (method == "GET" and request.method == "HEAD"):
            raise BadRequest(405, f"/control/{name} wants {method}")
        for key in given:
            if key not in keys:
                raise BadRequest(400, f"/control/{name} has no setting {key!r}")
        # Values are all checked before the first is set: a refused request changes nothing.
        if name == "fail":
            count = whole(given.get("next", str(app.fail_next)), 0, 10**9)
            share = number(given.get("share", str(app.fail_share)), 0, 1)
            status = whole(given.get("status", str(app.fail_status)), 400, 599)
            app.fail_next, app.fail_share, app.fail_status = count, share, status
        elif name == "delay":
            delay = number(given.get("ms", str(app.delay_ms)), 0, 600_000)
            jitter = number(given.get("jitter_ms", str(app.jitter_ms)), 0, 600_000)
            app.delay_ms, app.jitter_ms = delay, jitter
        elif name == "gate":
            if "closed" not in given:
                raise BadRequest(400, "/control/gate wants closed=true or closed=false")
            app.gate_closed = truth(given["closed"])
        elif name == "ready":
            if "ok" not in given:
                raise BadRequest(400, "/control/ready wants ok=true or ok=false")
            app.ready = truth(given["ok"])
        elif name == "reset":
            app.reset()
            app.end_delays()
        if not app.gate_closed:
            app.open_gate()


def main() -> None:
    env = os.environ
    pod = env.get("POD_NAME") or env.get("HOSTNAME") or socket.gethostname()
    app = App(env.get("VERSION", "v1"), pod, AccessLog(env.get("LOG", "1") != "0"))
    port = app.server.listen(env.get("BIND", "0.0.0.0"), int(env.get("PORT", "8080")), app)
    controls = app.server.listen(
        "127.0.0.1",
        int(env.get("CONTROL_PORT", CONTROL_PORT)),
        Controls(app, env.get("LABKIT_CONTROL_TOKEN", "")),
    )
    app.server.stop_on_signals()
    os.write(1, f"listening on {port}, controls on {controls}\n".encode())
    app.server.run()
    sys.exit(0)


if __name__ == "__main__":
    main()
