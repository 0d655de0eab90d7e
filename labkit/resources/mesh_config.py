"""Istio's MeshConfig, the settings of a whole mesh: where it is written, and whether it is right.

Its schema is made of the descriptors of istiod's own protocol buffers. istiod itself passes over a
field that it does not know, in silence; here it is an error.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

import yaml

from labkit.errors import ParseError, ValidationError
from labkit.jsontypes import Json
from labkit.resources import istio
from labkit.resources.durations import MILLISECOND, SECOND, nanoseconds
from labkit.resources.finding import Report
from labkit.resources.model import Resource, Source
from labkit.resources.rules.schemas import Schema
from labkit.resources.rules.structure import check_structure
from labkit.resources.yaml.document import Document, documents

CONFIG_MAP, KEY = "istio", "mesh"
"""Where istiod reads it: the ConfigMap of this name in its own namespace, and the key there."""
_DATA = FilePath(__file__).parent / "data" / "mesh-config-schema.json"
_STEP = re.compile(r"((?:\\.|[^.\\\[\]])+)((?:\[\d+\])*)(?:\.|$)")
_CONNECT_TIMEOUT = (MILLISECOND, 3600 * SECOND)


@functools.cache
def schema() -> Schema:
    """The schema of a MeshConfig."""
    definitions = json.loads(_DATA.read_bytes())["definitions"]
    return Schema("MeshConfig", definitions["MeshConfig"], definitions, custom=False)


def read(text: str, name: str) -> Json:
    """The MeshConfig of a file's text: a bare one, the ConfigMap `istio` with its `data.mesh`, an
    IstioOperator, the Sail operator's Istio, or Helm's values.

    Raises ParseError where there is none, ValidationError where a field is wrong.

    >>> read("meshConfig: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}", "values.yaml")
    {'outboundTrafficPolicy': {'mode': 'REGISTRY_ONLY'}}
    """
    found = [config for document in documents(text, name) for config in _inside(document, name)]
    if len(found) != 1:
        raise ParseError(
            f"{name} is to have one MeshConfig",
            seen=f"{len(found)} of them",
            try_next="give a MeshConfig itself, the ConfigMap istio (kubectl -n istio-system get "
            "configmap istio -o yaml), an IstioOperator, or Helm's values with meshConfig",
        )
    return checked(found[0].value, _source(found[0], name))


def of_config_map(resource: Resource) -> Json:
    """The MeshConfig in the ConfigMap that istiod reads. Raises as `read` does."""
    name = resource.source.name if resource.source else f"ConfigMap {resource.name}"
    line = resource.source.line_of(("data", KEY)) if resource.source else 0
    data = resource.body.get("data")
    return _of_text(str((data or {}).get(KEY) or ""), name, line)


def of_annotation(text: str) -> Json:
    """A pod's `proxy.istio.io/config`, a ProxyConfig, as the `defaultConfig` of a MeshConfig.
    Raises as `read` does.

    >>> of_annotation("concurrency: 2")
    {'defaultConfig': {'concurrency': 2}}
    """
    return checked({"defaultConfig": _document(text, "proxy.istio.io/config", 0).value or {}})


def is_config_map(resource: Resource) -> bool:
    """Whether istiod reads its MeshConfig here."""
    return (resource.kind, resource.namespace, resource.name) == (
        "ConfigMap",
        istio.NAMESPACE,
        CONFIG_MAP,
    )


def config_map(config: Json) -> Resource:
    """The ConfigMap by which istiod is told of a MeshConfig."""
    return Resource(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": CONFIG_MAP, "namespace": istio.NAMESPACE},
            "data": {KEY: yaml.safe_dump(config)},
        }
    )


def checked(config: Any, source: Source | None = None) -> Json:
    """A MeshConfig with its fields' names as the schema has them (`access_log_file` is
    `accessLogFile`) and without nulls. Raises ValidationError with all that is wrong.
    """
    plain = _camel({} if config is None else config, schema().root)
    report = Report(Resource({"kind": "MeshConfig"}, source))
    if isinstance(plain, dict):
        check_structure(plain, schema(), report)
    else:
        report.error((), "a MeshConfig is a block of fields", found=plain)
    if not report.refused:
        _check_values(plain, report)
    errors = [finding for finding in report.findings if finding.level == "error"]
    if errors:
        lines = "\n".join(f"  {error}" for error in errors)
        raise ValidationError(f"The MeshConfig can't be used:\n{lines}")
    found: Json = plain
    return found


def with_setting(config: Json, assignment: str) -> Json:
    """A copy of a MeshConfig with one field set, as `istioctl install --set meshConfig.…` does.

    The value has the type that the schema asks for; a list is `{a,b}`, as Helm writes it. It is not
    checked. Raises ParseError for what is no `field=value`.

    >>> with_setting({}, "outboundTrafficPolicy.mode=REGISTRY_ONLY")
    {'outboundTrafficPolicy': {'mode': 'REGISTRY_ONLY'}}
    """
    path, equals, value = assignment.partition("=")
    steps = _steps(path.strip().removeprefix("meshConfig."))
    if not equals or not steps:
        raise ParseError(
            f"--set {assignment}: a field of MeshConfig and its value are expected",
            try_next="--set outboundTrafficPolicy.mode=REGISTRY_ONLY",
        )
    changed: Json = _with(config, steps, value, schema().root)
    return changed


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    at = 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            return []
        steps.append(re.sub(r"\\(.)", r"\1", step[1]))
        steps += map(int, re.findall(r"\d+", step[2]))
        at = step.end()
    return steps


def _with(value: Any, steps: list[str | int], text: str, part: Mapping[str, Any]) -> Any:
    part = schema().resolve(part)
    if not steps:
        return _typed(text, part)
    step, *rest = steps
    if isinstance(step, int):
        items = list(value) if isinstance(value, list) else []
        while len(items) <= step:
            items.append({})
            if len(items) > 1000:
                raise ParseError(f"[{step}]: a list of more than 1,000 items is no MeshConfig's")
        items[step] = _with(items[step], rest, text, part.get("items", {}))
        return items
    known = part.get("properties", {})
    step = _known(step, known)
    below = known.get(step) or part.get("additionalProperties") or {}
    fields = value if isinstance(value, dict) else {}
    return {**fields, step: _with(fields.get(step), rest, text, below)}


def _typed(text: str, part: Mapping[str, Any]) -> Any:
    kind = part.get("type")
    if kind == "string":
        return text
    if kind == "array" and text.startswith("{") and text.endswith("}"):
        items = part.get("items", {})
        return [_typed(item.strip(), items) for item in text[1:-1].split(",") if item.strip()]
    try:
        found = list(documents(text, "--set"))
    except ParseError:
        return text  # of the wrong type, which is said with the field's name
    return found[0].value if found else None


def _known(name: str, known: Mapping[str, Any]) -> str:
    """A field's name as the schema has it: protocol buffers take it with underscores too."""
    if name in known or "_" not in name:
        return name
    camel = re.sub(r"_+(\w)", lambda found: found[1].upper(), name)
    return camel if camel in known else name


def _camel(value: Any, part: Mapping[str, Any]) -> Any:
    part = schema().resolve(part)
    if isinstance(value, list):
        return [_camel(item, part.get("items", {})) for item in value]
    if not isinstance(value, dict):
        return value
    known, rest = part.get("properties", {}), part.get("additionalProperties", {})
    names = {name: _known(name, known) for name in value}
    return {
        names[name]: _camel(item, known.get(names[name], rest))
        for name, item in value.items()
        if item is not None
    }


def _check_values(config: Json, report: Report) -> None:
    """What istiod checks beyond the types (`ValidateMeshConfig`): with one such mistake it keeps
    the settings that it had."""
    least, most = _CONNECT_TIMEOUT
    timeout = config.get("connectTimeout")
    if timeout is not None and not least <= (nanoseconds(timeout) or 0) <= most:
        report.error(("connectTimeout",), "out of range", found=timeout, allowed="1ms to 1h")
    detection = config.get("protocolDetectionTimeout")
    if detection is not None and (nanoseconds(detection) or 0) % MILLISECOND:
        report.error(
            ("protocolDetectionTimeout",), "not whole milliseconds", found=detection, allowed="10ms"
        )


def _inside(document: Document, name: str) -> list[Document]:
    """The MeshConfig of a document, if it has one."""
    value = document.value
    if not isinstance(value, dict):
        return []
    kind = value.get("kind")
    if kind == "ConfigMap":
        data = value.get("data")
        text = data.get(KEY) if isinstance(data, dict) else None
        line = document.lines.get(("data", KEY), document.line)
        return [] if text is None else [_document(str(text), name, line)]
    if kind in ("IstioOperator", "Istio"):
        merged: Json = {}
        for path in (("spec", "values", "meshConfig"), ("spec", "meshConfig")):
            part = _at(value, path)
            if isinstance(part, dict):
                merged = _merged(merged, part)
        return [Document(merged, document.line, document.text)]
    if kind is not None:
        return []
    if "meshConfig" in value:
        return [_part(document, ("meshConfig",))]
    return [document]


def _merged(below: Json, above: Json) -> Json:
    """Two blocks of fields as one, as Helm merges values."""
    both = {
        name: _merged(below[name], item)
        for name, item in above.items()
        if isinstance(item, dict) and isinstance(below.get(name), dict)
    }
    return {**below, **above, **both}


def _part(document: Document, path: tuple[str, ...]) -> Document:
    inner = Document(_at(document.value, path), document.line, document.text)
    size = len(path)
    inner.lines = {p[size:]: line for p, line in document.lines.items() if p[:size] == path}
    inner.scalars = {p[size:]: text for p, text in document.scalars.items() if p[:size] == path}
    return inner


def _of_text(text: str, name: str, line: int) -> Json:
    document = _document(text, name, line)
    return checked(document.value, _source(document, name))


def _document(text: str, name: str, line: int) -> Document:
    """The YAML in a text that is a value itself, which begins on the line after `line`."""
    found = list(documents(text, f"{name}:{line}: data.{KEY}"))
    if not found:
        return Document({}, line, text)
    inner = found[0]
    inner.lines = {path: line + number for path, number in inner.lines.items()}
    return inner


def _source(document: Document, name: str) -> Source:
    return Source(name, document.line, document.text, document.lines, (), document.scalars)


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value
