"""Why a cluster is not there, or has nobody behind it."""

from __future__ import annotations

from collections.abc import Iterator

from labkit.explain.policies import Policies
from labkit.explain.steps import NEAR_MISS, Step
from labkit.resources.istio import full_host
from labkit.translate.services.service import Service


def why_missing(policies: Policies, cluster: str) -> Iterator[Step]:
    """The subset, the port or the Service that is not there."""
    proxy, places = policies.proxy, policies.places
    service, number, subset = policies.split(cluster)
    left_out = None if service is None else proxy.left_out_by(service)
    if left_out is not None:
        yield Step("service", left_out[0], (left_out[1],))
    elif service is None or not proxy.registry.sees(proxy.namespace, service):
        text = f"{cluster.split('|')[-1]}: no Service that this proxy knows has that name"
        yield Step("service", text, parts=tuple(_services_alike(policies, cluster)))
    elif service.port(number) is None:
        ports = ", ".join(str(port.number) for port in service.ports)
        text = f"{number}: the Service has {ports}"
        yield Step("port", text, (places.of_service(service, ("spec", "ports")),))
    elif subset:
        rule = policies.rule(cluster)
        near = tuple(_rules_elsewhere(policies, service, subset))
        if rule is None:
            text = (
                f"{subset}: no DestinationRule that this proxy obeys for {service.host} defines it"
            )
            yield Step("subset", text, parts=near)
            return
        names = ", ".join(str(each.get("name")) for each in rule.subsets) or "none"
        sources = policies.sources(rule)
        where = tuple(places.of(each.key, ("spec", "subsets")) for each in sources)
        yield Step("subset", f"{subset}: the DestinationRule defines {names}", where, near)


def _services_alike(policies: Policies, cluster: str) -> Iterator[Step]:
    """Services of the same short name: the host of a rule may lack a part, or have another."""
    short = cluster.split("|")[-1].partition(".")[0]
    for service in policies.proxy.registry.services:
        if service.name == short:
            text = f"Service {service.namespace}/{service.name} is {service.host}"
            yield Step(NEAR_MISS, text, (policies.places.of_service(service),))


def _rules_elsewhere(policies: Policies, service: Service, subset: str) -> Iterator[Step]:
    """DestinationRules that define a subset of that name, and yet do not count here."""
    proxy = policies.proxy
    for each in proxy.registry.resources:
        if each.kind != "DestinationRule":
            continue
        for own in each.spec.get("subsets") or ():
            if own.get("name") != subset:
                continue
            host = full_host(str(each.spec.get("host") or ""), each.namespace)
            title = f"DestinationRule {each.namespace}/{each.name} defines {subset}"
            if host != service.host:
                text, path = f"{title}: host: it is for {host}", ("spec", "host")
            elif each.spec.get("workloadSelector") is not None:
                text, path = f"{title}: workloadSelector: not for this proxy", ("spec", "subsets")
            else:
                text = (
                    f"{title}: another rule for this host counts for proxies in {proxy.namespace}"
                )
                path = ("spec", "host")
            yield Step(NEAR_MISS, text, (policies.places.of(each.key, path),))


def why_empty(policies: Policies, cluster: str) -> Iterator[Step]:
    """The labels that no pod has, or the name of a port."""
    proxy, places = policies.proxy, policies.places
    service, number, name = policies.split(cluster)
    if service is None:
        return
    if service.entry:
        text = f"none: no endpoint of the ServiceEntry is one of {name or 'these'}"
        yield Step("endpoint", text, (places.of_service(service, ("spec", "endpoints")),))
        return
    chosen = [pod for pod in proxy.registry.pods if service.selects(pod)]
    if not chosen:
        wanted = _labels(service.selector) or "that its selector, which is empty, would choose"
        text = f"none: no pod of {service.namespace} has {wanted}"
        yield Step("endpoint", text, (places.of_service(service, ("spec", "selector")),))
        return
    rule = policies.rule(cluster)
    subset = rule.subset(name) if rule is not None and name else None
    wanted_labels = (subset or {}).get("labels") or {}
    fitting = [p for p in chosen if all(p.labels.get(k) == v for k, v in wanted_labels.items())]
    if rule is not None and subset is not None and not fitting:
        home, path = policies.home_of_subset(rule, subset)
        text = f"none: no pod of the Service has {_labels(wanted_labels)}"
        yield Step("endpoint", text, (places.of(home.key, (*path, "labels")),))
        return
    numbers = [port.number for port in service.ports]
    place = places.of_service(service, ("spec", "ports", numbers.index(number)))
    text = "none: the pods have no port of that name, or take no requests"
    yield Step("endpoint", text, (place,))


def _labels(labels: object) -> str:
    return ", ".join(f"{k}: {v}" for k, v in labels.items()) if isinstance(labels, dict) else ""
