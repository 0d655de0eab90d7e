"""Values that Istio takes, drawn at random: durations, shares, matches, changes of headers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
DURATIONS = ("1ms", "250ms", "0.5s", "1s", "1.5s", "15s", "90s", "1m30s", "2h", "1h0m0.001s", "72h")
SECONDS = ("1s", "90s", "10m", "1h", "24h")
HEADERS = ("x-user", "x-b3", "cookie", "X-Mixed-Case", "user-agent", "x_under", "end-user")
TEXTS = ("a", "v2", "jason", "x y", "100%%", "%REQ(x-user)%", "ä", 'say "hi"', "", "1.10", "true")
PATHS = ("/", "/a", "/a/b", "/v2/", "/Ä", "/a b", "/api/v1/products", "/*", "/static", "*")
PATTERNS = (".*", "^/a.*", "/v[0-9]+/.*", "a|b", "(?i)x", "[^/]+", "\\d{3}")
UNKNOWN = "%NO_SUCH_THING%"
"""A header's value that Istio takes and Envoy refuses; the linter tells (LAB10)."""
LABELS = (
    {"version": "v1"},
    {"version": "v2"},
    {"version": "v9"},
    {"version": "v1", "track": "canary"},
    {"track": "canary"},
    {},
)
"""What subsets ask of pods, and what pods have."""


class Draw(Random):
    """`random.Random` with the few questions that a generator asks again and again."""

    def maybe(self, share: float) -> bool:
        return self.random() < share

    def some(self, values: Sequence[T], least: int, most: int) -> list[T]:
        """So many different ones, in no particular order."""
        return self.sample(values, min(self.randint(least, most), len(values)))

    def block(self, fields: dict[str, Callable[[], Any]], *, share: float = 0.35) -> dict[str, Any]:
        """Some of the fields; at least one."""
        chosen = [name for name in fields if self.maybe(share)] or [self.choice(sorted(fields))]
        return {name: fields[name]() for name in chosen}

    def duration(self) -> str:
        if self.maybe(0.2):
            return f"{self.randint(1, 10**6)}ms"
        return self.choice(DURATIONS)

    def share(self) -> float:
        """A percentage as Istio reads it, with at most four decimals."""
        known = (0, 0.0001, 0.1, 1, 12.5, 33.3333, 50, 99.99, 100)
        return round(self.uniform(0.001, 100), 4) if self.maybe(0.3) else self.choice(known)

    def number(self) -> int:
        return self.choice((1, 2, 10, 100, 1024, 65535, 2**31 - 1))

    def name(self) -> str:
        """A DNS label, such as `k`, `web`, `q3-xw`."""
        word = "".join(self.choices(LETTERS, k=self.randint(1, 5)))
        more = "".join(self.choices(LETTERS + "0123456789", k=self.randint(1, 4)))
        return f"{word}-{more}" if self.maybe(0.4) else word

    def text_match(self, texts: Sequence[str]) -> dict[str, str]:
        """exact, prefix or regex; for one in twelve only that something is there."""
        kind = self.choice(("exact", "prefix", "regex"))
        if self.maybe(0.08):
            return {}
        if kind == "regex":
            return {kind: self.choice(PATTERNS)}
        return {kind: self.choice([text for text in texts if text or kind == "exact"])}

    def header_changes(self, *, authority: bool = True) -> dict[str, Any]:
        """`headers` of a route or of one of its destinations."""

        def values(request: bool) -> dict[str, str]:
            texts = (UNKNOWN,) if self.maybe(0.02) else TEXTS
            found = {name: self.choice(texts) for name in self.some(HEADERS, 1, 2)}
            if request and authority and self.maybe(0.1):
                found[self.choice(("host", ":authority", "Host"))] = "other.example.com"
            return found

        def side(request: bool) -> dict[str, Any]:
            found = self.block(
                {
                    "set": lambda: values(request),
                    "add": lambda: values(request),
                    "remove": lambda: self.some(HEADERS, 1, 2),
                },
                share=0.5,
            )
            both = [
                name
                for operation in ("set", "add")
                for name in found.get(operation, {})
                if name.lower() in ("host", ":authority")
            ]
            if len(both) > 1:  # it may be set once
                for operation in ("set", "add"):
                    found.get(operation, {}).pop(both[0], None)
            return found

        return self.block({"request": lambda: side(True), "response": lambda: side(False)})
