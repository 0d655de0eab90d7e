"""`lint`: all rules over all objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from labkit.resources.finding import Verdict
from labkit.resources.lint import destination_rules, gateways, references, routes, workloads
from labkit.resources.lint.diagnosis import Diagnoses, Diagnosis
from labkit.resources.lint.documents import of_verdict
from labkit.resources.lint.world import World
from labkit.resources.loading import Loadable, check, load
from labkit.resources.model import Key, Resource

RULES: tuple[Callable[[World], Iterator[Diagnosis]], ...] = (
    gateways.missing_workload,
    gateways.ports,
    gateways.same_host,
    routes.unreachable,
    routes.weights,
    routes.prefixes,
    references.gateways,
    references.destinations,
    references.same_host,
    destination_rules.unknown_host,
    destination_rules.subsets,
    destination_rules.twice,
    destination_rules.ejection,
    destination_rules.limits,
    destination_rules.hash_header,
    workloads.not_injected,
    workloads.without_proxy,
    workloads.port_names,
)
"""Each looks at the whole world and reports one kind of mistake, or a few that go together."""


def lint(*sources: Loadable, context: Iterable[Loadable] = (), complete: bool = False) -> Diagnoses:
    """What is wrong with manifests, alone and together. Raises nothing for a manifest that is wrong.

    `context` is known too, and not reported on: what the manifests will meet. With `complete` these are all objects
    that there are, as on a running mesh (`mesh.lint()`), so that what is not there is missing for sure.

    >>> lint("manifests/11_mistake_gallery/second-rule/broken.yaml").codes
    ('KIA0201',)
    """
    return lint_verdicts(check(*sources), context=context, complete=complete)


def lint_verdicts(
    verdicts: Iterable[Verdict], *, context: Iterable[Loadable] = (), complete: bool = False
) -> Diagnoses:
    """The same for what was validated before."""
    objects: dict[Key, Resource] = {resource.key: resource for resource in load(*context, strict=False)}
    reported: dict[Key, Resource] = {}
    found: list[Diagnosis] = []
    for verdict in verdicts:
        resource = verdict.resource
        accepted = resource is not None and from_server(resource)
        found.extend(of_verdict(verdict, accepted=accepted))
        if resource is not None and (verdict.accepted or accepted):
            reported[resource.key] = as_applied(resource, objects.get(resource.key))
    objects.update(reported)
    world = World(objects.values(), complete=complete)
    found.extend(each for rule in RULES for each in rule(world) if each.key in reported)
    order = {file: index for index, file in enumerate(dict.fromkeys(each.file for each in found))}
    return Diagnoses(sorted(dict.fromkeys(found), key=lambda each: (order[each.file], each.line, each.code)))


def from_server(resource: Resource) -> bool:
    """Whether it was read from a mesh, and so was accepted: it has what only an API server writes."""
    return "status" in resource.body or "creationTimestamp" in resource.metadata


def as_applied(resource: Resource, before: Resource | None) -> Resource:
    """An object with the age of the one that it takes the place of: age decides between two for one host."""
    created = before.metadata.get("creationTimestamp") if before is not None else None
    if created is None or resource.metadata.get("creationTimestamp"):
        return resource
    metadata = {**resource.metadata, "creationTimestamp": created}
    return Resource({**resource.body, "metadata": metadata}, resource.source)
