"""`fortio`: load on a few connections, by the real Fortio or by the built-in generator with the
same meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event
from typing import TYPE_CHECKING, Any, Literal

from labkit.errors import TrafficError, UnsupportedError
from labkit.traffic.plan import Load
from labkit.traffic.result import Columns, Result, share
from labkit.traffic.target import Target, clean_path

if TYPE_CHECKING:
    from labkit.traffic.generator import Generator
    from labkit.traffic.live import LiveRows
    from labkit.traffic.programs.fortio_stream import Elsewhere

Program = Literal["auto", "built-in", "fortio", "docker", "cluster"]


class FortioResult(Result):
    """The rows of a load run, and its result as Fortio's JSON has it.

    >>> result = mesh.fortio("http://test.example.com/", connections=4, requests=20, method="POST")
    >>> result.codes, result.program
    ({200: 5, 503: 15}, 'built-in')
    """

    def __init__(
        self, columns: Columns | Callable[[], Columns], json_result: dict[str, Any], program: str
    ) -> None:
        super().__init__(columns)
        self.json = json_result
        self.program = program
        """Which program made the requests: "built-in", or "fortio" and its version."""

    def to_json(self, indent: int | None = 2) -> str:
        """Fortio's JSON, as `fortio load -json` writes it; `fortio report` can show it."""
        import json

        return json.dumps(self.json, indent=indent)

    @property
    def codes(self) -> dict[int, int]:
        return {
            int(code): count
            for code, count in sorted(self.json["RetCodes"].items(), key=lambda pair: int(pair[0]))
        }

    @property
    def qps(self) -> float:
        """Requests a second that were reached."""
        return float(self.json["ActualQPS"])

    @property
    def duration_s(self) -> float:
        return float(self.json["ActualDuration"]) / 1e9

    @property
    def connections_opened(self) -> int:
        """How many connections were opened in all; more than asked for when some
        had to be closed.
        """
        return int(self.json["SocketCount"])

    def percentile_ms(self, percentile: float) -> float:
        """The time that `percentile` per cent of the requests stay below: 50, 75, 90, 99 or 99.9,
        as Fortio reckons.
        """
        for entry in self.json["DurationHistogram"].get("Percentiles", []):
            if entry["Percentile"] == percentile:
                return float(entry["Value"]) * 1000
        raise TrafficError(f"There is no percentile {percentile:g}", seen="50, 75, 90, 99, 99.9")

    @property
    def text(self) -> str:
        """The last lines of Fortio's own output."""
        total = self.json["DurationHistogram"]["Count"]
        lines = [
            f"Sockets used: {self.connections_opened} (for perfect keepalive, would be "
            f"{self.json['NumThreads']})"
        ]
        lines += [
            f"Code {code:3d} : {count} ({100 * count / total:.1f} %)"
            for code, count in self.codes.items()
        ]
        average = self.json["DurationHistogram"]["Avg"] * 1000
        lines.append(f"All done {total} calls {average:.3f} ms avg, {self.qps:.1f} qps")
        return "\n".join(lines) + "\n"

    def __len__(self) -> int:
        return int(self.json["DurationHistogram"]["Count"])

    @property
    def headline(self) -> str:
        total = len(self)
        return (
            f"{total} request{'' if total == 1 else 's'} on {self.json['NumThreads']} "
            "connections in "
            f"{self.duration_s:.3g} s ({self.qps:,.0f} a second), by {self.program}"
        )

    @property
    def summary(self) -> str:
        total = len(self)
        codes = ", ".join(
            f"{code}: {count} ({share(count, total)})" for code, count in self.codes.items()
        )
        return f"{self.headline} · {codes}".replace("-1:", "no answer:")

    def _repr_html_(self) -> str:
        import html

        table = super()._repr_html_()
        if not len(self):
            return table
        times = ", ".join(f"{p:g} %: {self.percentile_ms(p):.2f} ms" for p in (50.0, 90.0, 99.0))
        return f"{table}<p>{html.escape(f'Time of a request, at most for {times}')}</p>"


def fortio(
    target: Target,
    path: str = "/",
    *,
    connections: int = 4,
    requests: int | None = None,
    duration_s: float | None = None,
    qps: float = 0,
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | str | None = None,
    timeout_s: float = 3,
    jitter: bool = False,
    uniform: bool = False,
    catch_up: bool = True,
    request_ids: bool = True,
    program: Program = "auto",
    progress: Callable[[int, int], None] | None = None,
    cancel: Event | None = None,
    watch: Callable[[LiveRows], None] | None = None,
    elsewhere: Elsewhere | None = None,
) -> FortioResult:
    """`fortio load -c connections -n requests -qps qps -t duration_s -X method -H headers http://…`

    A closed loop: each connection sends its next request when the last one is answered, at most
    `qps` a second in all (0: as fast as it goes). Ends after `requests`, or else after `duration_s`
    seconds (5 if neither is given). `jitter`, `uniform` and `catch_up=False` are Fortio's -jitter,
    -uniform and -nocatchup. `timeout_s` holds for the connection and for the answer, each. Without
    a `method` it is GET, or POST when there is a body.

    `program`: "auto" takes the real Fortio where it is on PATH, else the built-in generator;
    "docker" a container of Fortio's own image; `result.program` says which. A mesh gives one that
    runs somewhere else as `elsewhere`. With `request_ids` the built-in one sends x-labkit-id, by
    which the lines of an access log are told apart. `progress(done, total)` is called at most ten
    times a second, with total 0 in a run by time. Setting `cancel` ends the run with the rows so
    far. A request without an answer has status -1. `watch` is given the rows as they come; it is
    not called for the real Fortio, which keeps them to itself until it ends.

    >>> fortio(Target("127.0.0.1", 8080, "test.example.com"), connections=4, requests=20, method="POST").codes
    {200: 20}
    """  # noqa: E501
    # Imported here, so that a mesh that only curls does not wait for it.
    from labkit.traffic.generator import Generator
    from labkit.traffic.live import LiveRun
    from labkit.traffic.programs.fortio import find_fortio, run_fortio
    from labkit.traffic.programs.fortio_json import fortio_json
    from labkit.traffic.programs.fortio_stream import Docker, run_streamed

    payload = body.encode() if isinstance(body, str) else body or b""
    given = {name: str(value) for name, value in (headers or {}).items()}
    fields = {"Host": target.authority}
    if not any(name.lower() == "user-agent" for name in given):
        fields["User-Agent"] = "labkit/fortio"
    for name, value in given.items():
        if name.lower() == "host":
            fields["Host"] = value
        else:
            fields[name] = value
    load = Load(
        target.host,
        target.port,
        clean_path(path),
        method=method or ("POST" if payload else "GET"),
        fields=fields,
        body=payload,
        connections=connections,
        requests=requests,
        duration_s=duration_s,
        qps=qps,
        timeout_s=timeout_s,
        jitter=jitter,
        uniform=uniform,
        catch_up=catch_up,
        request_ids=request_ids,
    )
    if elsewhere is None and program == "docker":
        elsewhere = Docker()
    if elsewhere is not None:
        result, columns = run_streamed(elsewhere, load, progress, cancel)
        return FortioResult(columns, result, f"fortio {result['Version']} {elsewhere.where}")
    if program == "cluster":
        raise UnsupportedError(
            "There is no cluster to run Fortio in",
            try_next='labkit.open_mesh("cluster"), or program="built-in"',
        )
    found = find_fortio() if program != "built-in" else None
    if found is not None:
        result, columns = run_fortio(found[0], load, progress, cancel)
        return FortioResult(columns, result, f"fortio {found[1]}")
    if program == "fortio":
        raise TrafficError(
            "There is no Fortio on PATH",
            try_next='go install fortio.org/fortio@latest, or program="built-in"',
        )
    run = Generator(load, progress, cancel)
    if watch is not None:
        watch(LiveRun(run))
    run.run()
    return FortioResult(lambda: columns_of(run), fortio_json(run), "built-in")


def columns_of(run: Generator) -> dict[str, list[Any]]:
    """The generator's arrays as columns, in the order in which the requests were begun."""
    from labkit.traffic.recorder import ERRORS

    rows = run.recorder
    order = sorted(range(len(rows.status)), key=rows.start.__getitem__)
    pods = [name.decode("latin-1") for name in rows.pods]
    versions = [version.decode("latin-1") for version in rows.versions]
    offset = run.began_at - run.began
    return {
        "n": list(range(len(order))),
        "at": [rows.start[i] + offset for i in order],
        "status": [rows.status[i] for i in order],
        "pod": [pods[rows.pod[i]] for i in order],
        "version": [versions[rows.pod[i]] for i in order],
        "latency_ms": [rows.latency[i] * 1000 for i in order],
        "flags": [""] * len(order),
        "method": [run.load.method] * len(order),
        "path": [run.load.path] * len(order),
        "connection": [rows.connection[i] for i in order],
        "id": [f"{run.prefix}{rows.id[i]}" if run.prefix else "" for i in order],
        "error": [ERRORS[rows.error[i]] for i in order],
    }
