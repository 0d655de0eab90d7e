"""What becomes of a request, in words."""

from __future__ import annotations

from collections.abc import Iterator

from labkit.explain.answers import Outcome
from labkit.explain.places import Place, Places
from labkit.explain.request import Seen
from labkit.explain.steps import Step
from labkit.jsontypes import Json
from labkit.resources.finding import shown
from labkit.resources.model import Path
from labkit.translate.routes.http_routes import Route
from labkit.translate.values import at


def result_of(outcome: Outcome) -> str:
    """The answer to the question, in a line."""
    said = _result(outcome)
    if 0 < outcome.aborts < 1:
        said += f"; {percent(outcome.aborts)} of such requests are aborted with {outcome.abort}"
    if outcome.delays:
        said += f"; {percent(outcome.delays)} of them wait for {outcome.delay} first"
    return said


def _result(outcome: Outcome) -> str:
    kind, status = outcome.kind, outcome.status
    if kind == "no listener":
        return "→ nobody listens there: the connection is refused"
    if kind == "no route":
        return "→ 404 by Envoy: no route takes it"
    if kind == "redirect":
        return f"→ {status} by Envoy, to {outcome.location}"
    if kind in ("direct response", "fault", "preflight"):
        return f"→ {status} by Envoy: {kind}"
    total = sum(outcome.clusters.values())
    several = len(outcome.clusters) > 1
    targets = ", ".join(
        _share(name, weight / total, outcome) if several else name
        for name, weight in outcome.clusters.items()
    )
    if kind == "tcp":
        return f"→ {targets}, as bytes: no rule for HTTP counts"
    if status is not None:
        return f"→ {status} by Envoy, which has nobody to send it to at {targets}"
    return f"→ {targets}"


def _share(cluster: str, share: float, outcome: Outcome) -> str:
    """One of several clusters, with its share."""
    dead = ", to be answered with 503 by Envoy" if cluster in outcome.unavailable else ""
    return f"{cluster} ({percent(share)}{dead})"


def percent(share: float) -> str:
    """A share as people write it.

    >>> percent(0.125), percent(1)
    ('12.5 %', '100 %')
    """
    return f"{round(100 * share, 4):g} %"


def route_parts(route: Json, outcome: Outcome, seen: Seen, places: Places) -> tuple[Step, ...]:
    """What a route adds: faults, redirects, rewrites, timeouts, retries, changes of headers."""
    return tuple(
        Step(name, text, _place(route, path, places))
        for name, text, path in _parts(route, outcome, seen)
    )


def _place(route: Json, path: Path, places: Places) -> tuple[Place, ...]:
    """The field of a route; none for what is not written but a default of Istio's."""
    if not isinstance(route, Route) or at(route.vs.http[route.http], *map(str, path)) is None:
        return ()
    return (places.first(route.vs.origins[route.http].route, path),)


def _parts(route: Json, outcome: Outcome, seen: Seen) -> Iterator[tuple[str, str, Path]]:
    if outcome.aborts:
        yield "fault", f"{percent(outcome.aborts)} aborted with {outcome.abort}", ("fault", "abort")
    if outcome.delays:
        text = f"{percent(outcome.delays)} delayed by {outcome.delay}"
        yield "fault", text, ("fault", "delay")
    if outcome.kind == "fault":
        return
    if outcome.kind == "preflight":
        yield "CORS", "answers what a browser asks beforehand", ("corsPolicy",)
    elif outcome.kind == "redirect":
        yield "redirect", f"{outcome.status} to {outcome.location}", ("redirect",)
    elif outcome.kind == "direct response":
        body = "" if outcome.body is None else f", {shown(outcome.body)}"
        yield "direct response", f"{outcome.status}{body}", ("directResponse",)
    else:
        yield from _action(route["route"], outcome, seen)
    if any(key.startswith(("request_headers", "response_headers")) for key in route):
        yield "headers", "some are changed", ("headers",)


def _action(action: Json, outcome: Outcome, seen: Seen) -> Iterator[tuple[str, str, Path]]:
    if outcome.path != seen.path:
        text = f"the path to {outcome.path}"
        if not outcome.path.startswith("/"):
            text += ", which the sidecar of a pod refuses with 400: it begins with no slash"
        yield "rewrite", text, ("rewrite",)
    if outcome.host != seen.headers[":authority"]:
        yield "rewrite", f"the host to {outcome.host}", ("rewrite", "authority")
    if action.get("timeout") not in (None, "0s"):
        yield "timeout", str(action["timeout"]), ("timeout",)
    retries = action.get("retry_policy")
    if retries is not None:
        text = f"up to {retries.get('num_retries', 1)}, on {retries.get('retry_on', '')}"
        yield "retries", text, ("retries",)
