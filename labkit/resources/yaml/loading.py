"""`load`: from what a learner has (a file, a folder, text, a dict) to objects."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any, TypeAlias

from labkit.errors import LabkitError, ParseError
from labkit.resources import kinds
from labkit.resources.finding import Admission, ManifestRefused, shown
from labkit.resources.model import Resource, Source
from labkit.resources.yaml.document import Document, documents
from labkit.resources.yaml.values import plain_values

Loadable: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | Resource | Iterable[Any]"

_TEXT = "<text>"
LARGEST = 32 << 20  # bytes; the API server itself takes no object over 3 MiB


def load(*sources: Loadable, strict: bool = True) -> list[Resource]:
    """The objects of files, folders (*.yaml and *.yml, sorted), YAML text, dicts, Resources, or
    lists of these.

    >>> load("manifests/hello-world.yaml", "manifests/03_load_balancing/")
    [<Namespace hello-world>, <ConfigMap hello-world/hello-world-app>, …]

    Raises ParseError where the text is not YAML, and ManifestRefused (a ValidationError, with
    `.findings`) where Kubernetes or Istio would refuse an object; UnsupportedError for a kind that
    labkit does not check. With `strict=False` objects are only parsed.
    """
    found = [resource for source in sources for resource in _load(source)]
    if strict:
        from labkit.resources.rules.validation import validate

        for resource in found:
            findings = validate(resource)
            if any(finding.level == "error" for finding in findings):
                raise ManifestRefused(resource, findings)
    return found


def load_text(text: str, name: str = _TEXT, *, strict: bool = True) -> list[Resource]:
    """The objects of a YAML text; `name` is what messages call it."""
    return load(*_from_text(text, name), strict=strict)


def check(*sources: Loadable) -> list[Admission]:
    """Whether each object of the sources would be admitted, in order. Raises nothing for a
    manifest that is wrong.

    >>> [admission.accepted for admission in check("manifests/as-published/")][:3]
    [True, False, True]
    """
    admissions: list[Admission] = []
    for source in sources:
        for part in _parts(source):
            admissions.extend(_check(part))
    return admissions


def check_text(text: str, name: str = _TEXT) -> list[Admission]:
    """`check` for a text, whatever it looks like; `name` is what messages call it."""
    return check_documents(documents(text, name), name)


def check_documents(found: Iterable[Document], name: str = _TEXT) -> list[Admission]:
    """`check` for documents that were parsed before. Where the iterator raises a ParseError, that
    is the last one.
    """
    return list(_admissions(_from_documents(found, name), name))


def load_documents(found: Iterable[Document], name: str = _TEXT) -> list[Resource]:
    """The objects of documents that were parsed before; they are not validated."""
    return list(_from_documents(found, name))


def _check(source: Loadable) -> Iterator[Admission]:
    name = (
        str(source) if isinstance(source, os.PathLike) else _TEXT if isinstance(source, str) else ""
    )
    yield from _admissions(_load(source), name)


def _admissions(found: Iterator[Resource], name: str) -> Iterator[Admission]:
    from labkit.resources.rules.validation import validate

    resources: list[Resource] = []
    failed: LabkitError | None = None
    try:
        for resource in found:
            resources.append(resource)
    except LabkitError as error:
        failed = error
    for resource in resources:
        file = resource.source.name if resource.source else name
        try:
            yield Admission(resource, tuple(validate(resource)), file=file)
        except LabkitError as error:
            yield Admission(resource, (), error, file)
    if failed is not None:
        yield Admission(None, (), failed, name)


def _parts(source: Loadable) -> Iterator[Loadable]:
    """Splits a folder into its files and a list into its items, so that one bad file does not hide
    the others.
    """
    if isinstance(source, str) and not _is_text(source):
        source = FilePath(source)
    if isinstance(source, os.PathLike) and is_folder(FilePath(source)):
        try:
            yield from _files(FilePath(source))
        except LabkitError:
            yield source
    elif isinstance(source, (str, os.PathLike, Mapping, Resource)) or not isinstance(
        source, Iterable
    ):
        yield source
    else:
        for item in source:
            yield from _parts(item)


def _load(source: Any) -> Iterator[Resource]:
    if isinstance(source, Resource):
        yield source
    elif isinstance(source, Mapping):
        yield from _objects(Document(plain_values(source, ""), 0, ""), None)
    elif isinstance(source, str) and _is_text(source):
        yield from _from_text(source, _TEXT)
    elif isinstance(source, (str, os.PathLike)):
        path = FilePath(source)
        for file in _files(path) if is_folder(path) else [path]:
            yield from _from_text(read_text(file), str(file))
    elif isinstance(source, Iterable) and not isinstance(source, (bytes, bytearray)):
        for item in source:
            yield from _load(item)
    else:
        raise ParseError(
            f"A manifest can't be a {type(source).__name__}",
            try_next="pass a file, a folder, YAML text or a dict",
        )


def _is_text(source: str) -> bool:
    return (
        "\n" in source
        or source.lstrip().startswith(("{", "apiVersion", "kind:", "---"))
        or not source.strip()
    )


def is_folder(path: FilePath) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError, RuntimeError):  # too long, a null byte, links in a circle
        return False


def _files(folder: FilePath) -> list[FilePath]:
    files = sorted(
        path for path in folder.iterdir() if path.suffix in (".yaml", ".yml") and path.is_file()
    )
    if not files:
        raise ParseError(f"{folder}: no *.yaml or *.yml file in this folder")
    return files


def read_text(path: FilePath) -> str:
    """The text of an ordinary file. Raises ParseError where there is none, or too much of it."""
    try:
        if path.exists() and not path.is_file():  # a FIFO would make us wait, a device never ends
            raise ParseError(f"{path}: this is no ordinary file")
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError as error:
        raise ParseError(
            f"{path}: there is no such file",
            try_next=of_course(path) or f"ls {path.parent}",
        ) from error
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise ParseError(f"{path}: the file can't be read", seen=str(error)) from error
    return as_text(data, str(path))


def of_course(path: FilePath) -> str:
    """How a file is called that the course has in its manifests/; "" where it has none such."""
    if path.is_absolute() or ".." in path.parts:
        return ""
    here = FilePath.cwd()
    for folder in (here, *here.parents):
        if (folder / "manifests" / path).is_file():
            return f'the course has it: manifest("{path.as_posix()}") in a lesson'
    return ""


def as_text(data: bytes, name: str) -> str:
    """Bytes of a file as text. Raises ParseError where they are no UTF-8, or too many."""
    if len(data) > LARGEST:
        raise ParseError(
            f"{name}: the file is too large",
            seen=f"at most {LARGEST} bytes are read",
            try_next="split it into several files",
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ParseError(
            f"{name}:{line}: the file is not UTF-8 text",
            seen=f"byte {error.start} of the file is 0x{data[error.start]:02x}: {error.reason}",
            try_next=f"file {name}; iconv -f {_encoding(data)} -t UTF-8 {name}",
        ) from error


def _encoding(data: bytes) -> str:
    """What bytes that are no UTF-8 most likely are, by iconv's name."""
    for mark, name in (
        (codecs.BOM_UTF32_LE, "UTF-32"),
        (codecs.BOM_UTF32_BE, "UTF-32"),
        (codecs.BOM_UTF16_LE, "UTF-16"),
        (codecs.BOM_UTF16_BE, "UTF-16"),
    ):
        if data.startswith(mark):
            return name
    return "LATIN1"


def _from_text(text: str, name: str) -> Iterator[Resource]:
    yield from _from_documents(documents(text, name), name)


def _from_documents(found: Iterable[Document], name: str) -> Iterator[Resource]:
    for document in found:
        yield from _objects(document, name)


def _objects(document: Document, name: str | None) -> Iterator[Resource]:
    """The object of a document, or the objects of a `kind: List`."""
    value = document.value
    where = f"{name}:{document.line}: " if name else ""
    if not isinstance(value, dict):
        raise ParseError(
            f"{where}this is not an object of Kubernetes, but a {_kind_of(value)}",
            try_next="begin with `apiVersion:`, `kind:`, `metadata:` and `spec:`, each on its "
            "own line",
        )
    if _is_list(value):
        if not isinstance(value.get("items"), list):
            line = document.lines.get(("items",), document.line)
            raise ParseError(
                f"{name}:{line}: the objects of a `kind: {value['kind']}` are a list, `items`"
                if name
                else f"the objects of a `kind: {value['kind']}` are a list, `items`"
            )
        own = {field: _of_item(value, field) for field in ("apiVersion", "kind")}
        for index, item in enumerate(value["items"]):
            whole = {**own, **item} if own["kind"] and isinstance(item, dict) else item
            part = Document(whole, document.line, document.text)
            prefix = ("items", index)
            part.lines = {
                path[2:]: line for path, line in document.lines.items() if path[:2] == prefix
            }
            part.repeated = [path[2:] for path in document.repeated if path[:2] == prefix]
            part.scalars = {
                path[2:]: text for path, text in document.scalars.items() if path[:2] == prefix
            }
            yield from _objects(part, name)
        return
    for field in ("apiVersion", "kind"):
        if not isinstance(value.get(field), str) or not value[field]:
            line = document.lines.get((field,), document.line)
            given = value.get(field)
            raise ParseError(
                f"{where}the object has no `{field}`"
                if given in (None, "")
                else f"{name}:{line}: `{field}` is {shown(given)}, which is no text",
                try_next="every object begins with `apiVersion:` and `kind:`, such as "
                f"`apiVersion: {kinds.api_version('VirtualService')}` and `kind: VirtualService`",
            )
    source = None
    if name is not None:
        source = Source(
            name,
            document.line,
            document.text,
            document.lines,
            tuple(document.repeated),
            document.scalars,
        )
    yield Resource(without_nulls(value), source)


def _is_list(value: dict[str, Any]) -> bool:
    """Whether a document holds other objects, as `kubectl get` writes them: `kind: List`, or
    VirtualServiceList and its like."""
    kind = value.get("kind")
    return kind == "List" or (isinstance(kind, str) and kind.endswith("List") and "items" in value)


def _of_item(value: dict[str, Any], field: str) -> str:
    """The apiVersion or kind of the items of a typed list that say none; "" where it has none."""
    if value["kind"] == "List":
        return ""
    found = str(value.get(field) or "")
    return found.removesuffix("List") if field == "kind" else found


_OF_PODS = ("selector", "nodeSelector", "limits", "requests")
_MAPS = frozenset(("labels", "annotations", "matchLabels", "data", "binaryData", *_OF_PODS))
"""Fields whose keys are the author's: a null there is an empty text, and the key stays."""


def without_nulls(body: dict[str, Any]) -> dict[str, Any]:
    """An object as the API server takes it: for Kubernetes' own kinds, and in all metadata, a field
    that is null was not written, and gets its default. A CRD's other fields stay: it refuses them.

    >>> without_nulls({"apiVersion": "v1", "kind": "Service", "spec": {"selector": None}})
    {'apiVersion': 'v1', 'kind': 'Service', 'spec': {}}
    """
    kind, group = body["kind"], str(body.get("apiVersion")).rpartition("/")[0]
    row = kinds.find(kind, group) if isinstance(kind, str) else None
    if row is not None and row.runs and group != kinds.ISTIO_GROUP:
        dropped: dict[str, Any] = _dropped(body)
        return dropped
    metadata = body.get("metadata")
    return {**body, "metadata": _dropped(metadata)} if isinstance(metadata, dict) else body


def _dropped(value: Any, *, keep: bool = False) -> Any:
    if isinstance(value, dict):
        return {
            key: _dropped(item, keep=key in _MAPS)
            for key, item in value.items()
            if keep or item is not None
        }
    if isinstance(value, list):
        return [_dropped(item) for item in value]
    return value


def _kind_of(value: Any) -> str:
    if isinstance(value, list):
        return "list"
    return "text" if isinstance(value, str) else "single value"
