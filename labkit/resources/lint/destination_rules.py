"""Mistakes in DestinationRules: for nobody, for the same host twice, subsets of nobody, limits that
do nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from labkit.resources.hosts import is_wildcard, subset_of
from labkit.resources.istio import ROOT_NAMESPACE, SERVICE_DOMAIN, full_host, service_host
from labkit.resources.lint.diagnosis import Diagnosis, diagnosis, title
from labkit.resources.lint.sections import policies_of
from labkit.resources.lint.world import World
from labkit.resources.model import Path, Resource
from labkit.resources.precedence import DestinationRules, Rule
from labkit.resources.rules.shared import Fields, block, items

DEFAULT_EJECTION_PERCENT = 10
ALWAYS_THERE = {"x-forwarded-for", "host", ":authority", ":path", ":method"}
"""Headers that every request has at a gateway: Envoy sets the first, HTTP the others."""


def unknown_host(world: World) -> Iterator[Diagnosis]:
    """IST0174: there is no such Service."""
    for rule in world.all("DestinationRule"):
        host = str(rule.spec.get("host") or "")
        found = world.lookup(host, rule.namespace)
        if found.service is not None or not found.judged or "*" in host:
            continue
        fix = world.instead_of(found.host)
        other = found.elsewhere
        if other is not None:
            fix = (
                f"set metadata.namespace: {other.namespace}, or host: "
                f"{service_host(other.name, other.namespace)}"
            )
        yield diagnosis("IST0174", rule, ("spec", "host"), f"there is no Service {found.host}", fix)


def subsets(world: World) -> Iterator[Diagnosis]:
    """IST0173: no pod has the labels. KIA0209: there are no labels."""
    for rule in world.all("DestinationRule"):
        service = world.lookup(str(rule.spec.get("host") or ""), rule.namespace).service
        for index, subset in enumerate(items(rule.spec, "subsets")):
            path: Path = ("spec", "subsets", index)
            labels = subset.get("labels") or {}
            if not labels:
                what = f"the subset {subset.get('name')} has no labels"
                yield diagnosis(
                    "KIA0209",
                    rule,
                    path,
                    what,
                    "give it the labels of its pods, such as version: v1",
                )
            elif (
                service is not None
                and world.knows_pods(service.namespace)
                and not world.pods_of(service, labels)
            ):
                text = ", ".join(f"{key}: {value}" for key, value in labels.items())
                what = f"no pod of {title(service)} has the labels {text}"
                yield diagnosis(
                    "IST0173", rule, (*path, "labels"), what, _nearest(world, service, labels)
                )


def _nearest(world: World, service: Resource, labels: Fields) -> str:
    """What the pods have in place of the labels."""
    for key in labels:
        values = sorted({pod.labels[key] for pod in world.pods_of(service) if key in pod.labels})
        if values:
            return (
                f"its pods have {key}: {' or '.join(values)}; or start pods with the labels first"
            )
    return "start pods with these labels first, or use labels that its pods have"


def ignored(world: World) -> Iterator[Diagnosis]:
    """KIA0201: a rule of which some part counts for no proxy, because another rule of the host has
    it. Asked of the code that chooses rules for proxies.

    A rule that nobody obeys, and without which somebody would obey another one, is none: istiod
    merges rules by their `exportTo`, so that one may keep two others apart.
    """
    rules = world.all("DestinationRule")
    index = DestinationRules(rules)
    hosts: dict[str, list[Resource]] = {}
    for rule in rules:
        host = full_host(str(rule.spec.get("host") or ""), rule.namespace)
        hosts.setdefault(host, []).append(rule)
    owners = {id(part): rule for rule in rules for _, part in _parts(rule)}

    def wild(rule: Resource) -> bool:
        return is_wildcard(str(rule.spec.get("host") or ""))

    spaces = {r.namespace for r in world.resources} | {ROOT_NAMESPACE, _ELSEWHERE}
    spaces |= {str(name) for rule in rules for name in items(rule.spec, "exportTo")} - {".", "*"}
    for host, own in hosts.items():
        first = own[0]
        if len(own) == 1 and not first.spec.get("exportTo") and first.namespace != ROOT_NAMESPACE:
            continue  # proxies of its own namespace obey it
        targets = list(_targets(world, host, spaces, hosts))
        selectors = [(block(r.spec, "workloadSelector") or {}).get("matchLabels") for r in own]
        callers = [
            (space, labels) for space in sorted(spaces) for labels in [{}, *filter(None, selectors)]
        ]
        asked = [(*target, *caller) for target in targets for caller in callers]
        found = [index.find(*each) for each in asked]
        shown = {each[2]: rule for each, rule in zip(asked, found, strict=True) if rule}
        used = {part for each in found for part in _obeyed(each)}
        for rule in own:
            parts = list(_parts(rule))
            unused = [(path, part) for path, part in parts if id(part) not in used]
            if unused and len(unused) == len(parts) and len(own) <= _FEW:
                rest = DestinationRules(
                    each
                    for each in rules
                    if each is not rule and (each in own or wild(each) or is_wildcard(host))
                )
                without = [rest.find(*each) for each in asked]
                if list(map(_obeyed, without)) != list(map(_obeyed, found)):
                    continue
            for path, part in unused:
                yield _ignored(rule, path, part, host, owners, shown)


def _targets(
    world: World, host: str, spaces: set[str], named: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """(host, namespace) of the Services that a rule's host stands for. A wildcard stands for those
    that other rules name, and in each namespace for one that none does.
    """
    found = [host]
    if is_wildcard(host):
        found += [each for each in named if each != host and subset_of(each, host)]
        inside = (service_host(_SOME_SERVICE, space) for space in sorted(spaces))
        found += [each for each in inside if subset_of(each, host)]
    for each in found:
        service = world.services.get(each)
        name = _SOME_SERVICE + each.removeprefix("*") if is_wildcard(each) else each
        yield name, service.namespace if service is not None else _home(name)


def _obeyed(rule: Rule | None) -> list[int]:
    """The parts of a rule as a proxy has it, each by its identity."""
    return [id(part) for part in (rule.policy, *rule.subsets)] if rule is not None else []


def _ignored(
    rule: Resource,
    path: Path,
    part: Fields,
    host: str,
    owners: Mapping[int, Resource],
    shown: Mapping[str, Rule],
) -> Diagnosis:
    """What hides a part of a rule, and what to do."""
    found = shown.get(rule.namespace) or next(iter(shown.values()), None)
    inner = None
    if found is not None:
        inner = found.policy if path[-1] == "trafficPolicy" else found.subset(str(part.get("name")))
    first = owners.get(id(inner))
    what = "a trafficPolicy" if path[-1] == "trafficPolicy" else f"the subset {part.get('name')}"
    if first is None or first is rule:
        other = f": {found.namespace}/{found.name} counts there" if found is not None else ""
        return diagnosis(
            "KIA0201",
            rule,
            path,
            f"no proxy looks here for {what} of {host}{other}",
            "proxies look in their own namespace, in the Service's and in "
            f"{ROOT_NAMESPACE}: put it into one of these, and export it to those who need it",
        )
    verb = "has" if path[-1] == "trafficPolicy" else "defines"
    said = f"{title(first)} already {verb} {what} {'for' if verb == 'has' else 'of'} {host}"
    return diagnosis("KIA0201", rule, path, f"{said}; this one is ignored", _merge(first))


_FEW = 40  # rules of one host: with more of them the answer would take too long
_ELSEWHERE = "-"  # some namespace that nothing here names
_SOME_SERVICE = "-"  # and some Service


def _home(host: str) -> str:
    """The namespace in the name of a Service that is not known here."""
    suffix = f".{SERVICE_DOMAIN}"
    return host.removesuffix(suffix).partition(".")[2] if host.endswith(suffix) else ""


def _parts(rule: Resource) -> Iterator[tuple[Path, Fields]]:
    """The parts of a rule that count or not by themselves: its policy, each of its subsets."""
    policy = block(rule.spec, "trafficPolicy")
    if policy is not None:
        yield ("spec", "trafficPolicy"), policy
    for index, subset in enumerate(items(rule.spec, "subsets")):
        yield ("spec", "subsets", index), subset


def _merge(first: Resource) -> str:
    return (
        f"put everything into one rule: give this one the name {first.name}, or move its fields "
        "there and delete it"
    )


def ejection(world: World) -> Iterator[Diagnosis]:
    """LAB07: maxEjectionPercent of the pods is less than one pod.

    Each subset is a cluster of its own, with its own count. So a policy of the whole Service has to
    be enough for the subsets that take it over as well. One pod alone is no pool to leave, and
    counts only where there is no more.
    """
    for rule in world.all("DestinationRule"):
        for path, policy, pods in _policies(world, rule):
            outlier = block(policy, "outlierDetection")
            if outlier is None or pods == 0:
                continue
            pools = [(pods, f"{pods} pods")]
            if path == ("spec", "trafficPolicy"):
                pools += [
                    (size, f"the {size} pods of the subset {name}")
                    for size, name in _heirs(world, rule)
                ]
            least, which = min(
                (pool for pool in pools if pool[0] > 1), default=pools[0], key=lambda pool: pool[0]
            )
            percent = outlier.get("maxEjectionPercent") or DEFAULT_EJECTION_PERCENT
            if least * percent < 100:
                said = "" if outlier.get("maxEjectionPercent") else ", the default,"
                enough = -(-100 // least)
                yield diagnosis(
                    "LAB07",
                    rule,
                    (*path, "outlierDetection"),
                    f"{percent} %{said} of {which} is less than one pod: none is ever ejected "
                    "there",
                    f"maxEjectionPercent: {enough} or more allows one of {least} to be ejected",
                )


def _heirs(world: World, rule: Resource) -> Iterator[tuple[int, str]]:
    """(number of pods, name) of the subsets that take over the Service's outlier detection."""
    service = world.lookup(str(rule.spec.get("host") or ""), rule.namespace).service
    for subset in items(rule.spec, "subsets"):
        if (
            service is not None
            and block(block(subset, "trafficPolicy"), "outlierDetection") is None
        ):
            yield len(world.pods_of(service, subset.get("labels"))), str(subset.get("name"))


def limits(world: World) -> Iterator[Diagnosis]:
    """LAB08: fewer connections than pods."""
    for rule in world.all("DestinationRule"):
        for path, policy, pods in _policies(world, rule):
            most = (block(block(policy, "connectionPool"), "tcp") or {}).get("maxConnections")
            if most and most < pods:
                yield diagnosis(
                    "LAB08",
                    rule,
                    (*path, "connectionPool", "tcp", "maxConnections"),
                    f"{most} {'connection' if most == 1 else 'connections'} for all {pods} pods "
                    "together, not for each",
                    f"multiply the limit per pod by the number of pods: {most} per pod is "
                    f"{most * pods}",
                )


def table_of_one(world: World) -> Iterator[Diagnosis]:
    """LAB14: a table of Maglev's that has one place."""
    for rule in world.all("DestinationRule"):
        for path, policy in policies_of(rule):
            maglev = block(block(block(policy, "loadBalancer"), "consistentHash"), "maglev")
            if (maglev or {}).get("tableSize") == 1:
                place: Path = (*path, "loadBalancer", "consistentHash", "maglev", "tableSize")
                what = "a table of one place, which ends every Envoy"
                yield diagnosis("LAB14", rule, place, what, "a larger prime, such as 65537")


def hash_header(world: World) -> Iterator[Diagnosis]:
    """LAB09: affinity by a header that only the caller can send."""
    for rule in world.all("DestinationRule"):
        for path, policy in policies_of(rule):
            header = (block(block(policy, "loadBalancer"), "consistentHash") or {}).get(
                "httpHeaderName"
            )
            if (
                not header
                or header.lower() in ALWAYS_THERE
                or header.lower() in _headers_set(world)
            ):
                continue
            yield diagnosis(
                "LAB09",
                rule,
                (*path, "loadBalancer", "consistentHash", "httpHeaderName"),
                f"nothing in the mesh sets the header {header}: each request has to bring it",
                "make sure that every caller sends it; or use x-forwarded-for, the caller's "
                "address, "
                "which the gateway sets, "
                "or an httpCookie with a ttl, which Envoy sets",
            )


def _headers_set(world: World) -> set[str]:
    found: set[str] = set()
    for service in world.all("VirtualService"):
        for route in items(service.spec, "http"):
            request = block(block(route, "headers"), "request") or {}
            for name in ("set", "add"):
                found.update(key.lower() for key in request.get(name) or {})
    return found


def _policies(world: World, rule: Resource) -> Iterator[tuple[Path, Fields, int]]:
    """(path, policy, number of pods) for the whole service, and for subsets that have a policy of
    their own.
    """
    service = world.lookup(str(rule.spec.get("host") or ""), rule.namespace).service
    if service is None:
        return
    whole = block(rule.spec, "trafficPolicy")
    if whole is not None:
        yield ("spec", "trafficPolicy"), whole, len(world.pods_of(service))
    for index, subset in enumerate(items(rule.spec, "subsets")):
        own = block(subset, "trafficPolicy")
        if own is not None:
            yield (
                ("spec", "subsets", index, "trafficPolicy"),
                own,
                len(world.pods_of(service, subset.get("labels"))),
            )
