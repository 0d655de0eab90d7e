"""Routes that a request passed by, each with the condition that it did not meet, in the words of
the YAML.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from labkit.explain.conditions import Failed, failures
from labkit.explain.places import Place, Places
from labkit.explain.proxies import Caller
from labkit.explain.request import Seen
from labkit.explain.steps import NEAR_MISS, Step
from labkit.jsontypes import Json
from labkit.resources.finding import shown
from labkit.resources.model import Path
from labkit.translate.routes.http_routes import Route, unconcerned
from labkit.translate.rules.virtual_services import Part, VirtualService

_PSEUDO = ("method", "authority", "scheme")


def near_misses(
    routes: Sequence[Json], seen: Seen, callers: dict[str, Caller], places: Places
) -> list[Step]:
    """A step for each match that stands before the end of `routes` and did not take the request:
    those that Envoy asked, and those that it was never told of.
    """
    found: list[Step] = []
    reached: dict[str, tuple[int, int]] = {}
    for route in routes:
        if not isinstance(route, Route):  # the default of a Service, which takes everything
            continue
        where = (route.http, -1 if route.match is None else route.match)
        start = reached.get(vs_name(route.vs), (-1, 0))
        found += left_out(route.vs, callers[vs_name(route.vs)], places, start, where)
        reached[vs_name(route.vs)] = where
        missed = _missed(route, seen, places)
        if missed is not None:
            found.append(missed)
    return found


def left_out(
    vs: VirtualService,
    caller: Caller,
    places: Places,
    after: tuple[int, int] = (-1, 0),
    before: tuple[int, int] | None = None,
) -> Iterator[Step]:
    """The matches between two places of a VirtualService that can't hold for this proxy, and are
    not among its routes.
    """
    for number, http in enumerate(vs.http):
        for index, match in enumerate(http.get("match") or ()):
            place = (number, index)
            if place <= after or (before is not None and place >= before):
                continue
            field = unconcerned(match, caller)
            if field:
                parts = vs.origins[number].matches[index]
                text = f"{_title(vs, number, index)}: {_why(field, match, caller)}"
                yield Step(NEAR_MISS, text, (places.first(parts, (field,)),))


def _why(field: str, match: Json, caller: Caller) -> str:
    wanted = match[field]
    if field == "gateways":
        own = ", ".join(sorted(caller.gateways))
        return f"gateways: it is for {', '.join(wanted)}, and this proxy is {own}"
    if field == "port":
        return f"port: it is for {wanted}, and the request came to {caller.port}"
    if field == "sourceLabels":
        name, value = next((k, v) for k, v in wanted.items() if caller.labels.get(k) != v)
        label = caller.labels.get(name)
        has = "no such label" if label is None else f"{name}: {label}"
        return f"sourceLabels: it is for callers with {name}: {value}, and this one has {has}"
    return f"{field}: it is for callers in {wanted}, and this one is in {caller.namespace}"


def _missed(route: Route, seen: Seen, places: Places) -> Step | None:
    """The step of a route that does not take a request; None where it does."""
    failed = failures(route["match"], seen)
    if not failed:
        return None
    vs, match = route.vs, _match_of(route)
    said = [condition(each, route["match"], match) for each in failed]
    parts = _parts_of(route)
    more = ""
    if len(said) > 1:
        more = f" (nor does it meet {', '.join(written_path(path) for path, _ in said[1:])})"
    words = said[0][1]
    text = f"{_title(vs, route.http, route.match)}: {words}{more}"
    return Step(NEAR_MISS, text, tuple(places.first(parts, path) for path, _ in said))


def condition(failed: Failed, envoys: Json, match: Json) -> tuple[Path, str]:
    """The field of a match that is not met, and that in words: what is wanted, what is there."""
    if failed.part == "path":
        folds = ", in any case" if match.get("ignoreUriCase") else ""
        return ("uri",), f"uri {_wanted(match.get('uri'))}{folds}: the path is {failed.seen}"
    if failed.part == "query":
        name = str(envoys["query_parameters"][failed.number]["name"])
        wanted = _wanted((match.get("queryParams") or {}).get(name))
        has = "it is not there" if failed.seen is None else f"it is {shown(failed.seen)}"
        return ("queryParams", name), f"queryParams {name} {wanted}: {has}"
    headers = envoys["headers"]
    name = str(headers[failed.number]["name"])
    fields = [field for field in _PSEUDO if match.get(field) is not None]
    place = failed.number - (len(headers) - len(fields))
    if place >= 0:
        field = fields[place]
        return (field,), f"{field} {_wanted(match[field])}: it is {failed.seen}"
    has = "it is not there" if failed.seen is None else f"it is {shown(failed.seen)}"
    kind = "withoutHeaders" if headers[failed.number].get("invert_match") else "headers"
    wanted = _wanted((match.get(kind) or {}).get(name))
    return (kind, name), f"{kind} {name} {wanted}: {has}"


def _wanted(text: object) -> str:
    """A StringMatch in words."""
    if isinstance(text, dict):
        for how in ("exact", "prefix", "regex"):
            if text.get(how) is not None:
                return f"{how}: {text[how]}" if text[how] != "" else f'{how}: ""'
    return "(that it is there)"


def written_path(path: Path) -> str:
    """A field of a match as it is spoken of: `headers x-user`."""
    return " ".join(map(str, path))


def _match_of(route: Route) -> Json:
    """The match of the merged HTTP route that a route was made of."""
    if route.match is None:
        return {}
    found: Json = route.vs.http[route.http]["match"][route.match]
    return found


def _parts_of(route: Route) -> tuple[Part, ...]:
    origin = route.vs.origins[route.http]
    return origin.route if route.match is None else origin.matches[route.match]


def place_of(route: Route, places: Places) -> tuple[Place, ...]:
    """Where a route is written: its match, and the HTTP route around that; of a delegate's route
    that in the root as well.
    """
    origin = route.vs.origins[route.http]
    parts = list(dict.fromkeys([*_parts_of(route), *origin.route[1:]]))
    return tuple(places.of(part.key, part.path) for part in parts)


def title(route: Route) -> str:
    """A route as it is spoken of: `VirtualService shop/web, http[0] "canary", match[1]`."""
    return _title(route.vs, route.http, route.match)


def _title(vs: VirtualService, http: int, match: int | None) -> str:
    part = vs.origins[http].route[0]
    kind, namespace, name = part.key
    own = vs.http[http].get("name")
    called = f' "{own}"' if own else ""
    text = f"{kind} {namespace}/{name}, http[{part.path[2]}]{called}"
    if match is None:
        return text
    inner = vs.origins[http].matches[match][0]
    same = inner.key == part.key
    return f"{text}, match[{inner.path[4]}]" + ("" if same else " of its root")


def vs_name(vs: VirtualService) -> str:
    """A VirtualService by its full name: `shop/web`."""
    return f"{vs.namespace}/{vs.name}"
