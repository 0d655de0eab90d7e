"""`curl`: one request after the other, each as the command of that name would make it.

The client is the standard library's `http.client`. urllib3, requests and httpx were looked at: each
brings pools, retries and redirects that would have to be turned off again, since a lesson shows
what one request and one connection do, and takes 60 to 140 ms to import, against 24 ms.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from labkit.errors import MORE_FILES, NO_MORE_FILES, TrafficError
from labkit.traffic.progress import Throttled
from labkit.traffic.result import COLUMNS, FAILED, Response, Result
from labkit.traffic.target import Target, clean_path
from labkit.waiting import steady_time

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse
    from threading import Event

    from labkit.traffic.live import LiveRows

ID_HEADER = "x-labkit-id"
"""Sent with each request, so that a line of an access log can be told to be that request's."""


def curl(
    target: Target,
    path: str = "/",
    *,
    n: int = 1,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    body: bytes | str | None = None,
    timeout_s: float = 10,
    new_connection: bool = True,
    request_ids: bool = True,
    jar: MutableMapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancel: Event | None = None,
    watch: Callable[[LiveRows], None] | None = None,
) -> Result:
    """Sends `n` requests, one after the other, and returns a row for each.

    As with n commands of curl each request has a connection of its own, unless
    `new_connection=False`; redirects are shown, not followed. `latency_ms` is curl's time_total:
    from before the connection to the last byte of the body. `jar` is a dict of cookies, sent and
    brought up to date as curl does with -b and -c. A request that gets no answer is a row with
    status -1; when the very first cannot even be sent (no such host, connection refused),
    TrafficError says so. Setting `cancel` ends the loop with the rows so far; `watch` is given the
    rows as they come.

    >>> curl(Target("127.0.0.1", 8080, "test.example.com"), "/v2", n=10, headers={"x-forwarded-for": "10.1.2.3"}).codes
    {200: 10}
    """  # noqa: E501
    from http.client import HTTPConnection, HTTPException

    path = clean_path(path)
    payload = body.encode() if isinstance(body, str) else body
    prefix = f"{os.urandom(6).hex()}-"
    report = Throttled(progress, n)
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    responses: list[Response] = []
    connection: HTTPConnection | None = None
    opened = -1
    if watch is not None:
        from labkit.traffic.live import LiveRows

        watch(LiveRows(columns))
    try:
        for i in range(n):
            if cancel is not None and cancel.is_set():
                break
            request_id = f"{prefix}{i}" if request_ids else ""
            fields = _fields(target, headers, jar, request_id)
            started_at, started = steady_time(), time.perf_counter()
            reused = connection is not None
            while True:
                try:
                    if connection is None:
                        connection = HTTPConnection(target.host, target.port, timeout=timeout_s)
                        opened += 1
                        _connect(connection, target, raises=i == 0)
                    _send(connection, method, path, fields, payload)
                    answer = connection.getresponse()
                    content = answer.read()
                except (OSError, HTTPException) as error:
                    if connection is not None:
                        connection.close()
                        connection = None
                    # it had been closed while idle: curl tries again
                    if reused and isinstance(error, ConnectionError):
                        reused = False
                        continue
                    response = Response(
                        FAILED, latency_ms=_ms(started), at=started_at, error=reason(error)
                    )
                else:
                    response = _response(answer, content, started_at, _ms(started))
                    if jar is not None:
                        _store_cookies(jar, answer.headers.get_all("set-cookie") or [])
                    if new_connection or answer.will_close:
                        connection.close()
                        connection = None
                break
            responses.append(response)
            for name, value in _row(i, response, method, path, opened, request_id).items():
                columns[name].append(value)
            report(i + 1)
    finally:
        if connection is not None:
            connection.close()
    return Result(columns, responses)


def _connect(connection: HTTPConnection, target: Target, *, raises: bool) -> None:
    """Connects; with `raises` a failure is the caller's to know, since nothing at all could be
    sent.
    """
    try:
        connection.connect()
    except OSError as error:
        if raises:
            raise _unsendable(target, error) from error
        raise


def _send(
    connection: HTTPConnection,
    method: str,
    path: str,
    fields: Mapping[str, str],
    payload: bytes | None,
) -> None:
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in fields.items():
            connection.putheader(name, value)
        if payload is not None and "content-length" not in fields:
            connection.putheader("content-length", str(len(payload)))
    except ValueError as error:  # a header or method that HTTP does not allow
        raise TrafficError(
            "The request can't be written as HTTP",
            seen=str(error),
            try_next="look at headers= and method=",
        ) from error
    connection.endheaders(payload)


def _fields(
    target: Target,
    headers: Mapping[str, str] | None,
    jar: Mapping[str, str] | None,
    request_id: str,
) -> dict[str, str]:
    given = {name.lower(): str(value) for name, value in (headers or {}).items()}
    fields = {"host": target.authority, "user-agent": "curl/labkit", "accept": "*/*"}
    if request_id:
        fields[ID_HEADER] = request_id
    if jar:
        fields["cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
    return {**fields, **given}


def _response(answer: HTTPResponse, content: bytes, at: float, latency_ms: float) -> Response:
    headers: dict[str, str] = {}
    for name, value in answer.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return Response(
        answer.status,
        headers,
        content,
        latency_ms,
        pod=headers.get("x-pod", ""),
        version=headers.get("x-version", ""),
        at=at,
    )


def _store_cookies(jar: MutableMapping[str, str], lines: list[str]) -> None:
    from http.cookies import SimpleCookie

    for line in lines:
        for name, morsel in SimpleCookie(line).items():
            if morsel["max-age"] == "0":
                jar.pop(name, None)
            else:
                jar[name] = morsel.value


def _row(
    n: int, response: Response, method: str, path: str, connection: int, request_id: str
) -> dict[str, Any]:
    return {
        "n": n,
        "at": response.at,
        "status": response.status,
        "pod": response.pod,
        "version": response.version,
        "latency_ms": response.latency_ms,
        "flags": "",
        "method": method,
        "path": path,
        "connection": connection,
        "id": request_id,
        "error": response.error,
    }


def _ms(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def reason(error: BaseException) -> str:
    """A few words for why there was no answer."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, socket.gaierror):
        return "no such host"
    if isinstance(error, ConnectionError):
        return "connection closed"
    return str(error) or type(error).__name__


def _unsendable(target: Target, error: OSError) -> TrafficError:
    where = f"{target.host}:{target.port}"
    if isinstance(error, socket.gaierror):
        step = (
            "use mesh.curl(url): it connects to the gateway and sends the host's name in the "
            "Host header"
        )
    elif error.errno in NO_MORE_FILES:
        step = MORE_FILES
    else:
        step = "mesh.get('pods') shows whether the gateway runs; mesh.gateway_url is its address"
    return TrafficError(
        f"Nothing could be sent to {where}: {reason(error)}", seen=str(error), try_next=step
    )
