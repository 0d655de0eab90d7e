"""`lint`: all rules over all objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from labkit.resources.finding import Admission
from labkit.resources.lint import (
    destination_rules,
    gateways,
    headers,
    misplaced,
    patterns,
    references,
    routes,
    workloads,
)
from labkit.resources.lint.diagnosis import Diagnoses, Diagnosis
from labkit.resources.lint.documents import of_admission, once_a_file
from labkit.resources.lint.world import World
from labkit.resources.model import Key, Resource
from labkit.resources.rules.shape import has_shape
from labkit.resources.yaml.loading import Loadable, check, load

RULES: tuple[Callable[[World], Iterator[Diagnosis]], ...] = (
    gateways.missing_workload,
    gateways.ports,
    gateways.same_host,
    routes.unreachable,
    routes.weights,
    routes.prefixes,
    patterns.plain_text,
    patterns.too_large,
    headers.unknown_commands,
    headers.refused_texts,
    headers.refused_numbers,
    references.gateways,
    references.destinations,
    references.same_host,
    destination_rules.unknown_host,
    destination_rules.subsets,
    destination_rules.ignored,
    destination_rules.ejection,
    destination_rules.limits,
    destination_rules.hash_header,
    destination_rules.table_of_one,
    misplaced.unknown_or_misplaced,
    workloads.not_injected,
    workloads.without_proxy,
    workloads.port_names,
)
"""Each looks at the whole world and reports one kind of mistake, or a few that go together."""


def lint(*sources: Loadable, context: Iterable[Loadable] = (), complete: bool = False) -> Diagnoses:
    """What is wrong with manifests, alone and together. Raises nothing for a manifest that is
    wrong.

    `context` is known too, and not reported on: what the manifests will meet. With `complete` these
    are all objects that there are, as on a running mesh (`mesh.lint()`), so that what is not there
    is missing for sure.

    >>> lint("manifests/11_mistake_gallery/misspelt-host/broken.yaml", context=["manifests/hello-world.yaml"]).codes
    ('IST0174',)
    """  # noqa: E501
    return lint_admissions(check(*sources), context=context, complete=complete)


def lint_admissions(
    admissions: Iterable[Admission], *, context: Iterable[Loadable] = (), complete: bool = False
) -> Diagnoses:
    """The same for what was validated before."""
    objects: dict[Key, Resource] = {
        resource.key: resource for resource in load(*context, strict=False) if has_shape(resource)
    }
    versions: dict[Key, list[Resource]] = {}
    found: list[Diagnosis] = []
    files: dict[str, int] = {}
    for admission in admissions:
        resource = admission.resource
        files.setdefault(admission.file, len(files))
        accepted = resource is not None and from_server(resource) and has_shape(resource)
        found.extend(of_admission(admission, accepted=accepted))
        if resource is not None and (admission.accepted or accepted):
            versions.setdefault(resource.key, []).append(
                as_applied(resource, objects.get(resource.key))
            )
    # as after applying all files in this order: of two versions of an object the later one is there
    objects.update({key: known[-1] for key, known in versions.items()})
    found.extend(each for each in _rules(objects, complete) if each.key in versions)
    for key, known in versions.items():
        for version in known[:-1]:
            found.extend(
                each for each in _rules({**objects, key: version}, complete) if each.key == key
            )
    ordered = sorted(
        dict.fromkeys(found),
        key=lambda each: (files.get(each.file, len(files)), each.line, each.code),
    )
    return Diagnoses(once_a_file(ordered))


def _rules(objects: Mapping[Key, Resource], complete: bool) -> Iterator[Diagnosis]:
    world = World(objects.values(), complete=complete)
    for rule in RULES:
        yield from rule(world)


def from_server(resource: Resource) -> bool:
    """Whether it was read from a mesh, and so was accepted: it has what only an
    API server writes.
    """
    return "status" in resource.body or "creationTimestamp" in resource.metadata


def as_applied(resource: Resource, before: Resource | None) -> Resource:
    """An object with the age of the one that it takes the place of: age decides between two for one
    host.
    """
    created = before.metadata.get("creationTimestamp") if before is not None else None
    if created is None or resource.metadata.get("creationTimestamp"):
        return resource
    metadata = {**resource.metadata, "creationTimestamp": created}
    return Resource({**resource.body, "metadata": metadata}, resource.source)
