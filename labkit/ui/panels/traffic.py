"""`TrafficPanel`: sends requests in the background and shows at once who answers them, and how
fast.
"""

from __future__ import annotations

import contextlib
import html
import time
import weakref
from typing import TYPE_CHECKING, Any

import traitlets

from labkit.errors import LabkitError, LessonError
from labkit.ui.panels.base import action, work
from labkit.ui.panels.bins import COLUMNS, Bins
from labkit.ui.panels.live import LivePanel, Ticker, cells_of, weakly
from labkit.ui.panels.stream import Stream, Traffic
from labkit.ui.plots import timelines as over_time

if TYPE_CHECKING:
    import pandas as pd

    from labkit.mesh import Mesh

PLOTS = {
    "versions": "Versions over time",
    "pods": "Pods over time",
    "status": "Status codes over time",
    "latency": "Latency over time",
    "histogram": "Latency histogram",
}
SETTINGS = {
    "kind": str,
    "requests": int,
    "connections": int,
    "qps": float,
    "seconds": float,
    "rate": float,
}
DRAW_EVERY_S = 0.25
COUNT_EVERY_S = 1.0
KEEP_S, HISTOGRAM_S = 20.0, 2.0
"""How often a run that goes on is drawn here as well, for a notebook that is saved meanwhile; the
histogram, which the browser does not draw, more often.
"""
MOST_LIVE = 20_000
"""So many requests are in such a picture, the last ones; at the end it has all."""

streams: weakref.WeakKeyDictionary[Any, weakref.ref[TrafficPanel]] = weakref.WeakKeyDictionary()
"""Which panel sends a stream without an end through a mesh: a second one ends it, as a cell may be
run again.
"""


class TrafficPanel(LivePanel):
    """curl n times, a load as Fortio makes it, or a steady stream until it is stopped; with live
    plots. Requests go through the gateway, or from the Deployment `source`.

    Settings: kind ("curl", "fortio" or "stream"), requests, connections, qps (0: as fast as
    possible), seconds (0: until all requests are sent), rate (of a stream, in requests per second,
    at most 500) and plot (one of "versions", "pods", "status", "latency", "histogram"). Raises
    LessonError for a setting that is none of these, TrafficError for a value out of range.

    Every button is a method, so that a notebook without a browser does the same:

    >>> panel = TrafficPanel(mesh, "http://test.example.com/", kind="stream", rate=50)
    >>> panel.start()
    >>> mesh.apply(rule)                     # a line in the plots, from here on the new rule holds
    >>> panel.stop()
    >>> panel.run(kind="curl", requests=10)  # waits for the end
    >>> panel.result.codes
    {200: 10}
    """

    title = "Send requests"
    scripts = ("uplot/uPlot.iife.min.js", "chart.js", "bins.js", "live.js", "traffic.js")
    styles = ("uplot/uPlot.min.css", "live.css", "chart.css")

    url = traitlets.Unicode("").tag(sync=True)
    kind = traitlets.Unicode("curl").tag(sync=True)
    requests = traitlets.Int(20).tag(sync=True)
    connections = traitlets.Int(4).tag(sync=True)
    qps = traitlets.Float(0.0).tag(sync=True)
    seconds = traitlets.Float(0.0).tag(sync=True)
    """How long a Fortio run takes; 0: the number of requests ends it."""
    rate = traitlets.Float(20.0).tag(sync=True)
    command = traitlets.Unicode("").tag(sync=True)
    running = traitlets.Bool(False).tag(sync=True)
    progress = traitlets.Float(-1.0).tag(sync=True)
    """The part that is done, 0 to 1; -1 where nobody knows the end."""
    status = traitlets.Unicode("Nothing has been sent yet.").tag(sync=True)
    plot = traitlets.Unicode("versions").tag(sync=True)
    plots = traitlets.Dict(PLOTS).tag(sync=True)
    counted = traitlets.Dict().tag(sync=True)
    """The requests beside the proxy's own counters: {"columns", "rows"}."""
    verdict = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        mesh: Mesh,
        url: str,
        *,
        source: str | None = None,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        **settings: Any,
    ) -> None:
        self.mesh, self.source = mesh, source
        self.method, self.headers = method, dict(headers or {})
        self.runs: list[Stream] = []
        """Every run that was begun here, the last one last."""
        self.bins = Bins()
        self.counted_at = self.kept_at = 0.0
        self.ticker = Ticker(weakly(self, "tick"), every_s=DRAW_EVERY_S)
        # what the browser shows must not wait for a picture that is only kept
        self.drawer = Ticker(weakly(self, "redraw"), every_s=1.0)
        super().__init__(url=url)
        mesh.history.bells.add(self.ticker.bell)
        stop_stream_of(mesh)
        self.choose(**settings)

    # actions

    @action
    def choose(self, name: str = "", value: Any = None, **settings: Any) -> None:
        """Sets one or more of: kind, requests, connections, qps, seconds, rate, plot.

        >>> panel.choose(kind="fortio", connections=4, requests=20)
        """
        for key, given in ({name: value} if name else {}).items() | settings.items():
            if key == "plot":
                if given not in PLOTS:
                    raise LessonError(
                        f"There is no plot {given!r}", seen=f"there are: {', '.join(PLOTS)}"
                    )
                self.plot = given
            elif key in SETTINGS:
                setattr(self, key, number(key, given))
            else:
                raise LessonError(
                    f"TrafficPanel has no setting {key!r}",
                    seen=f"its settings: {', '.join([*SETTINGS, 'plot'])}",
                )
        self.command = self.traffic.command(self.url)
        if name == "plot" or "plot" in settings:
            self.kept_at = 0.0
            if self.running:
                self.follow()
            self.draw()

    @action
    def start(self, **settings: Any) -> None:
        """Begins to send, in the background. Raises LessonError while another run is on, and what
        keeps the mesh from sending at all.
        """
        if self.running:
            raise LessonError("Requests are being sent already", try_next="panel.stop() ends that")
        if settings:
            self.choose(**settings)
        stream = Stream(self.mesh, self.url, self.traffic, source=self.source)
        stop_stream_of(self.mesh)
        stream.start()
        with self.lock:
            self.runs.append(stream)
            self.bins, self.axes, self.picture = Bins(), None, ""
            self.counted_at, self.kept_at = time.monotonic(), 0.0
        if stream.traffic.kind == "stream":
            streams[self.mesh] = weakref.ref(self)
        self.running = True
        self.status, self.counted, self.verdict = "Sending …", {}, ""
        self.progress = 0.0 if stream.progress is not None else -1.0
        self.ticker.start()
        self.drawer.start()

    @action
    def whole(self) -> None:
        """A view that is new, or has missed something, asks for all there is of the last run."""
        self.bins.whole = True
        if self.runs:
            self.tell_view(self.last)

    @work("Waiting for the last answers")
    def stop(self) -> None:
        """Ends the run; what was sent by then stays."""
        if self.runs:
            self.runs[-1].stop()
        self.settle()

    @work("Sending requests")
    def run(self, *, timeout_s: float = 60.0, **settings: Any) -> None:
        """Sends a run that ends by itself, and waits for it. Raises NotReady where it has not ended
        after `timeout_s` seconds, LessonError for a stream, and what the run raised.
        """
        if settings.get("kind", self.kind) == "stream":
            raise LessonError(
                "A stream has no end to wait for", try_next="panel.start(), and later panel.stop()"
            )
        self.start(**settings)
        self.runs[-1].wait(timeout_s)
        self.settle()
        error = self.runs[-1].error
        if error is not None:
            raise error

    # what there is

    @property
    def traffic(self) -> Traffic:
        """What Start would send."""
        return Traffic(
            self.kind if self.kind in ("fortio", "stream") else "curl",  # type: ignore[arg-type]
            requests=self.requests,
            connections=self.connections,
            qps=self.qps,
            duration_s=self.seconds or None,
            rate=self.rate,
            method=self.method,
            headers=self.headers,
        )

    @property
    def last(self) -> Stream:
        """The run that is on, or else the last one."""
        if not self.runs:
            raise LessonError("Nothing has been sent yet", try_next="panel.start()")
        return self.runs[-1]

    @property
    def result(self) -> Any:
        """What came back in the last run that has ended: the same as mesh.curl or mesh.fortio
        returns. Raises LessonError while none has.
        """
        ended = [run.result for run in self.runs if run.result is not None]
        if not ended:
            raise LessonError("No run has ended yet", try_next="panel.stop(), or panel.run()")
        return ended[-1]

    @property
    def frame(self) -> pd.DataFrame:
        """The rows so far of the run that is on, or of the last one: a row a request, with at
        (seconds since 1970), status, pod, version and latency_ms. Raises LessonError before the
        first run.
        """
        return self.last.frame

    # showing: the browser draws what moves, and the kernel what is kept

    def tick(self) -> bool:
        """One look of the ticker; False ends it."""
        run = self.last
        if not run.running:
            self.settle()
            return False
        self.follow()
        return True

    def settle(self) -> None:
        """Shows the end of a run: its own numbers, the proxy's counters, and what went wrong."""
        run = self.runs[-1] if self.runs else None
        if run is None or run.running:
            return
        with self.lock:
            if not self.running:
                return
            self.ticker.stop()
            self.drawer.stop()
            try:
                self.bins = Bins(self.bins.run)  # the result has its rows in another order
                self.tell_view(run)
                self.draw()
            finally:  # whatever becomes of the picture: the run has ended
                self.running = False
            if run.error is not None:
                self.show_error(run.error, "start")
        self.done()

    def tell_view(self, run: Stream) -> None:
        """Sends what is new of a run to whoever looks at it. The lock is held."""
        self.bins.take(run.columns, len(run), run.marks)
        self.send({"news": self.bins.news(run.until)})

    def follow(self) -> None:
        """Shows a run that goes on: the news of it first, then what takes longer to make."""
        run = self.last
        with self.lock:
            if not self.running:
                return
            self.tell_view(run)
        if time.monotonic() - self.counted_at >= COUNT_EVERY_S:
            self.counted_at = time.monotonic()
            # a mesh that goes: the run itself is about to say so
            with contextlib.suppress(LabkitError):
                run.count()
        with self.lock:
            if run is not self.last or not self.running:
                return  # another thread has shown what came later
            bins = self.bins
            with self.hold_sync():
                if self.plot != "histogram":
                    self.caption, self.marks = bins.title(self.plot), len(bins.marks)
                    self.cells = bins.table(self.plot, run.until)
                self.tell(run, "running", bins.requests)

    def redraw(self) -> bool:
        """One look of the drawer: the picture of a run that goes on, from time to time."""
        run = self.last
        every_s = HISTOGRAM_S if self.plot == "histogram" else KEEP_S
        if run.running and len(run) and time.monotonic() - self.kept_at >= every_s:
            self.kept_at = time.monotonic()
            self.draw()
        return run.running

    def draw(self) -> None:
        """Draws the plot that is chosen, of the last run, for the notebook and for exports."""
        if not self.runs:
            return
        run = self.last
        state = run.state  # once: it may end while its picture is drawn, and then is drawn again
        ended = state != "running"
        plot, frame, marks = self.plot, run.latest(None if ended else MOST_LIVE), run.marks
        end = None if ended else run.until
        if plot == "latency":
            axes = over_time.latency(frame, marks, end=end)
        elif plot == "histogram":
            axes = over_time.histogram(frame, marks)
        else:
            axes = over_time.share(frame, COLUMNS[plot], marks, end=end)
        with self.lock:
            if run is not self.last or plot != self.plot or not (ended or self.running):
                return  # another thread has shown what came later
            if ended or plot == "histogram":
                self.show(axes, len(marks))
                self.tell(run, state, len(frame) if ended else len(run))
            else:  # what the view says beside its own drawing is newer
                self.axes, self.picture = axes, axes.picture()

    def tell(self, run: Stream, state: str, count: int) -> None:
        """The line beside the bar, and the table of the proxy's counters."""
        seconds = run.until - run.began
        words = {"ended": "Done", "cancelled": "Stopped", "failed": "Failed"}.get(state, "Sending")
        told = (
            f"{words}: {count} requests in {seconds:.1f} s, {count / max(seconds, 1e-3):,.0f} "
            "per second."
        )
        found = run.agreement
        with self.hold_sync():
            self.progress = -1.0 if run.progress is None else run.progress
            self.status = f"{told} {run.warning}".strip()
            if found is not None:
                self.counted = cells_of(found.table)
                self.verdict = "" if state == "running" else found.verdict

    # what is kept

    def publish(self, *, update: bool) -> None:
        if self.running and len(self.last):
            self.draw()
        super().publish(update=update)

    def way_back(self, error: LabkitError, doing: str) -> dict[str, str]:
        if doing not in ("start", "run", "stop"):
            return {}
        return {"label": "Start again", "do": "start"}

    def text(self) -> str:
        lines = [f"{self.heading}: {self.command}", self.status]
        if self.axes is not None:
            lines += [repr(self.axes)]
        return "\n".join([*lines, self.verdict] if self.verdict else lines)

    def words(self) -> str:
        lines = f"<p><code>{html.escape(self.command)}</code></p><p>{html.escape(self.status)}</p>"
        found = self.runs[-1].agreement if self.runs else None
        if found is not None and self.verdict:
            lines += (
                f"{found.table.to_html(index=False, border=0)}<p>{html.escape(self.verdict)}</p>"
            )
        return lines

    def close(self) -> None:
        self.ticker.stop()
        self.drawer.stop()
        if self.runs:
            self.runs[-1].cancel.set()
        super().close()


def number(name: str, given: Any) -> Any:
    """A setting as the type it has; says what is wrong with what was typed."""
    try:
        return SETTINGS[name](given)
    except (TypeError, ValueError):
        raise LessonError(
            f"{name} must be a number", seen=repr(given), try_next="type digits only"
        ) from None


def stop_stream_of(mesh: Mesh) -> None:
    """Ends the stream without an end that another panel sends through this mesh."""
    other = streams.pop(mesh, None)
    panel = other() if other is not None else None
    if panel is not None and panel.runs:
        panel.runs[-1].cancel.set()
