"""What came back: a row a request, and short ways to look at the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self

    import pandas as pd

Columns = Mapping[str, Sequence[Any]]

FAILED = -1
"""The status of a request that got no answer, as in Fortio's result."""

COLUMNS = (
    "n",
    "at",
    "status",
    "pod",
    "version",
    "latency_ms",
    "flags",
    "method",
    "path",
    "connection",
    "id",
    "error",
)


@dataclass(frozen=True)
class Response:
    """One answer. `status` is -1 when there was none, and `error` then says why.

    >>> mesh.curl("http://test.example.com/")[0].text
    'Hello world! version v1, pod hello-world-v1-…, path /\\n'
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    latency_ms: float = 0.0
    pod: str = ""
    version: str = ""
    flags: str = ""
    at: float = 0.0
    error: str = ""

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


class Result:
    """The rows of one or more requests.

    `frame` has a row a request, in the order they were sent: n (from 0), at (seconds since 1970),
    status (-1: no answer), pod, version, latency_ms, flags (Envoy's response flags, where known),
    method, path, connection, id, error.

    >>> result = mesh.curl("http://test.example.com/", n=10)
    >>> result.codes
    {200: 10}
    """

    def __init__(
        self, columns: Columns | Callable[[], Columns], responses: Sequence[Response] = ()
    ) -> None:
        self._source = columns
        self._frame: pd.DataFrame | None = None
        self.responses = tuple(responses)

    @property
    def _columns(self) -> Columns:
        if callable(self._source):  # a million rows are made only when somebody looks at them
            self._source = self._source()
        return self._source

    @property
    def frame(self) -> pd.DataFrame:
        """A pandas frame, a row a request. Made when first asked for: pandas takes a moment to
        load.
        """
        if self._frame is None:
            import pandas as pd

            self._frame = pd.DataFrame(
                {name: list(values) for name, values in self._columns.items()}
            )
        return self._frame

    def column(self, name: str) -> Sequence[Any]:
        """One column as plain values, without pandas."""
        if self._frame is not None:
            return list(self._frame[name])
        return self._columns[name]

    @property
    def codes(self) -> dict[int, int]:
        """How many requests got which status; -1 for those that got no answer."""
        return dict(sorted(Counter(int(code) for code in self.column("status")).items()))

    @property
    def pods(self) -> dict[str, int]:
        """How many requests each pod answered; those that no pod answered are left out."""
        return dict(sorted(Counter(pod for pod in self.column("pod") if pod).items()))

    @property
    def versions(self) -> dict[str, int]:
        """How many requests each version answered."""
        return dict(
            sorted(Counter(version for version in self.column("version") if version).items())
        )

    @property
    def flags(self) -> dict[str, int]:
        """How many requests have which of Envoy's response flags: {'UO': 3} is three refused by the
        circuit breaker.
        """
        return dict(sorted(Counter(flags for flags in self.column("flags") if flags).items()))

    @property
    def text(self) -> str:
        """The bodies, one after the other, as a loop of curls prints them."""
        return "".join(response.text for response in self.responses)

    def with_flags(self, flags: Mapping[str, str]) -> Self:
        """The same rows with Envoy's response flags, given as {id of the request: flags} from an
        access log.

        A "-" in the log means that there is no flag. Requests that are not in the log keep what
        they have.
        """
        found = [
            flags.get(key, old).replace("-", "") if key else old
            for key, old in zip(self.column("id"), self.column("flags"), strict=True)
        ]
        other = self._copy({**{name: self.column(name) for name in self._columns}, "flags": found})
        if self.responses:
            from dataclasses import replace

            other.responses = tuple(
                replace(response, flags=flag)
                for response, flag in zip(self.responses, found, strict=True)
            )
        return other

    def with_rows(self, frame: pd.DataFrame) -> Self:
        """The same result with other rows: those of an access log know the pod where the program
        did not.

        Columns that the new frame lacks are filled with what means "not known".
        """
        import pandas as pd

        empty: dict[str, Any] = {
            "n": range(len(frame)),
            "status": FAILED,
            "at": float("nan"),
            "connection": FAILED,
        }
        columns = {
            name: frame[name]
            if name in frame
            else pd.Series(empty.get(name, ""), index=frame.index)
            for name in COLUMNS
            if name in frame or name != "latency_ms"
        }
        if "latency_ms" not in columns:
            columns["latency_ms"] = pd.Series(float("nan"), index=frame.index)
        more = {name: frame[name] for name in frame.columns if name not in columns}
        other = self._copy({name: list(values) for name, values in {**columns, **more}.items()})
        other.responses = ()
        return other

    def _copy(self, columns: Columns) -> Self:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._source, other._frame = columns, None
        return other

    def __len__(self) -> int:
        return len(self.column("status"))

    def __getitem__(self, index: int) -> Response:
        return self.responses[index]

    def __iter__(self) -> Iterator[Response]:
        return iter(self.responses)

    @property
    def summary(self) -> str:
        """One line: how many requests, which statuses, which pods."""
        total = len(self)
        codes = ", ".join(
            f"{'no answer' if code == FAILED else code}: {count} ({share(count, total)})"
            for code, count in self.codes.items()
        )
        parts = [f"{total} request{'' if total == 1 else 's'}", codes or "nothing sent"]
        if self.flags:
            parts.append(
                "flags " + ", ".join(f"{flag}: {count}" for flag, count in self.flags.items())
            )
        if self.pods:
            parts.append(
                "answered by " + ", ".join(f"{pod}: {count}" for pod, count in self.pods.items())
            )
        return " · ".join(parts)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.summary}>"

    def _repr_html_(self) -> str:
        import html

        total = len(self)
        rows = [
            ("no answer" if code == FAILED else str(code), count, share(count, total))
            for code, count in self.codes.items()
        ]
        answered = sum(self.pods.values())
        rows += [(f"from {pod}", count, share(count, answered)) for pod, count in self.pods.items()]
        rows += [(f"flag {flag}", count, share(count, total)) for flag, count in self.flags.items()]
        body = "".join(
            f"<tr><td style='text-align:left'>{html.escape(name)}</td><td>{count}</td><td>{part}</td></tr>"  # noqa: E501
            for name, count, part in rows
        )
        head = "<tr><th style='text-align:left'>answer</th><th>requests</th><th>share</th></tr>"
        return f"<p>{html.escape(self.headline)}</p><table><thead>{head}</thead><tbody>{body}</tbody></table>"  # noqa: E501

    @property
    def headline(self) -> str:
        return self.summary.split(" · ")[0]


def share(part: int, whole: int) -> str:
    """`25 %`, `0.4 %`: whole per cents, with a decimal where a whole one would say 0."""
    percent = 100 * part / whole if whole else 0.0
    return f"{percent:.1f} %" if 0 < percent < 1 else f"{percent:.0f} %"
