"""The checks that a schema makes: unknown fields, types, enums, required fields, `oneOf`, and the
CEL rules.

jsonschema is not used: it takes longer to import than a whole mesh may take to start, it does not
know CEL, a CRD's closed objects or Kubernetes' keyed lists, and its messages name the schema rather
than the field. This walker is checked against it in a test.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from labkit.resources.durations import EXAMPLES
from labkit.resources.finding import Report, shown
from labkit.resources.model import Path
from labkit.resources.quantity import FORM, amount
from labkit.resources.rules.cel import CEL_RULES
from labkit.resources.rules.schemas import Schema
from labkit.resources.words import closest

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "integer": (int,),
    "number": (int, float),
}
_NAMES = {
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a block of fields",
    "integer": "a whole number",
    "number": "a number",
}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def check_structure(body: Mapping[str, Any], schema: Schema, report: Report) -> None:
    """Compares a whole object with the schema of its kind."""
    _Walker(schema, report).value(body, schema.root, ())


class _Walker:
    def __init__(self, schema: Schema, report: Report) -> None:
        self.schema = schema
        self.report = report

    def value(self, value: Any, schema: Mapping[str, Any], path: Path) -> None:
        """Checks one value; goes into it only where its type is right."""
        reference = schema.get("$ref")
        if reference:
            schema = self.schema.definitions[reference]
            if reference in _REFERENCES:
                _REFERENCES[reference](value, path, self.report)
                return
        if value is None:
            self.null(schema, path)
            return
        kind = schema.get("type")
        if schema.get("x-kubernetes-int-or-string"):
            if isinstance(value, bool) or not isinstance(value, (int, str)):
                self.report.error(
                    path, "the type is wrong", found=value, allowed="a whole number or text"
                )
            return
        if kind and not self.typed(value, kind, schema, path):
            return
        # For its own kinds Kubernetes takes an empty text as "not written".
        if "enum" in schema and value not in schema["enum"] and (value or self.schema.custom):
            self.enum(value, schema["enum"], path)
        if kind == "object":
            self.fields(value, schema, path)
        elif kind == "array":
            self.items(value, schema, path)
        elif kind in ("integer", "number"):
            self.limits(value, schema, path)
        elif kind == "string":
            self.text(value, schema, path)
        for part in (schema, *schema.get("allOf", ())):
            if "oneOf" in part and isinstance(value, dict):
                self.one_of(value, part["oneOf"], path)
        for rule in schema.get("x-kubernetes-validations", ()):
            CEL_RULES[rule["rule"]](value, path, self.report)

    def null(self, schema: Mapping[str, Any], path: Path) -> None:
        """A field without a value: left out for Kubernetes' own kinds, refused by a CRD."""
        if not self.schema.custom or schema.get("nullable") or path[:1] == ("metadata",):
            return
        name = _NAMES.get(schema.get("type", ""), "a value")
        self.report.error(
            path,
            "the field has no value",
            found="null",
            allowed=name,
            hint="give it one or remove it",
        )

    def typed(self, value: Any, kind: str, schema: Mapping[str, Any], path: Path) -> bool:
        if isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool)):
            return True
        if kind == "integer" and isinstance(value, float) and value.is_integer():
            return True
        allowed, hint = _NAMES[kind], ""
        if kind == "string":
            if schema.get("x-kubernetes-validations") and isinstance(value, (int, float)):
                allowed, hint = EXAMPLES, f"did you mean `{value}s`?"
            elif isinstance(value, bool) and self.report.text_of(path, value) != shown(value):
                hint = "put it in quotes: YAML reads yes, no, on, off, y and n as true and false"
            elif not isinstance(value, (dict, list)):
                hint = f'put it in quotes: "{self.report.text_of(path, value)}"'
        elif kind in ("integer", "number", "boolean") and isinstance(value, str):
            hint = (
                "remove the quotes" if value.strip().isdigit() or value in ("true", "false") else ""
            )
        elif kind == "array":
            hint = "begin each item with `- `"
        elif kind == "object" and isinstance(value, list):
            hint = "remove the `- `"
        self.report.error(path, "the type is wrong", found=value, allowed=allowed, hint=hint)
        return False

    def enum(self, value: Any, allowed: list[Any], path: Path) -> None:
        near = closest(value, allowed) if isinstance(value, str) else ""
        self.report.error(
            path,
            "not a known value",
            found=value,
            allowed=", ".join(str(item) or '""' for item in allowed),
            hint=f"did you mean `{near}`?" if near else "",
        )

    def fields(self, value: dict[str, Any], schema: Mapping[str, Any], path: Path) -> None:
        known: Mapping[str, Any] = schema.get("properties", {})
        rest = schema.get("additionalProperties")
        for name, item in value.items():
            if name in known:
                self.value(item, known[name], (*path, name))
            elif isinstance(rest, Mapping):
                self.value(item, rest, (*path, name))
            elif known and not schema.get("x-kubernetes-preserve-unknown-fields"):
                self.unknown(name, item, known, path)
        for name in schema.get("required", ()):
            if name not in value or (value[name] is None and not self.schema.custom):
                self.report.error((*path, name), "the field is required and missing")
        most = schema.get("maxProperties")
        if most is not None and len(value) > most:
            self.report.error(path, "too many entries", found=len(value), allowed=f"at most {most}")

    def unknown(self, name: str, item: Any, known: Mapping[str, Any], path: Path) -> None:
        """A field that the schema does not have: a near miss, a field at the wrong place, or an
        invention.
        """
        near = closest(name, known)
        homes = [] if near else places(self.schema, name, item)
        if near:
            hint = f"did you mean `{near}`?"
        elif homes:
            hint = (
                f"`{name}` belongs in {' or '.join(homes[:2])}: move it there (look at the "
                "indentation)"
            )
        else:
            hint = ""
        allowed = ", ".join(sorted(known)) if len(known) <= 24 else ""
        self.report.error(
            (*path, name), "there is no such field", found=name, allowed=allowed, hint=hint
        )

    def items(self, value: list[Any], schema: Mapping[str, Any], path: Path) -> None:
        items = schema.get("items", {})
        for index, item in enumerate(value):
            if item is None:
                self.report.error((*path, index), "an item of the list is empty", found="null")
            else:
                self.value(item, items, (*path, index))
        least, most = schema.get("minItems"), schema.get("maxItems")
        if (least is not None and len(value) < least) or (most is not None and len(value) > most):
            bounds = f"{least or 0} to {most} items" if most is not None else f"at least {least}"
            self.report.error(
                path, "the list has the wrong length", found=len(value), allowed=bounds
            )
        if schema.get("x-kubernetes-list-type") == "map":
            self.keyed(value, schema, path)
        elif schema.get("x-kubernetes-list-type") == "set":
            seen: set[str] = set()
            for index, item in enumerate(value):
                if (text := json.dumps(item, sort_keys=True)) not in seen:
                    seen.add(text)
                else:
                    self.report.error((*path, index), "the same item twice", found=item)

    def keyed(self, value: list[Any], schema: Mapping[str, Any], path: Path) -> None:
        """A list whose items are told apart by some of their fields, such as a Service's ports by
        port and protocol.
        """
        keys = schema["x-kubernetes-list-map-keys"]
        properties = self.schema.resolve(schema["items"]).get("properties", {})
        seen: dict[tuple[Any, ...], int] = {}
        for index, item in enumerate(value):
            if not isinstance(item, dict):
                continue
            key = tuple(
                str(item.get(name, properties.get(name, {}).get("default"))) for name in keys
            )
            first = seen.setdefault(key, index)
            if first != index:
                what = ", ".join(f"{name} {part}" for name, part in zip(keys, key, strict=True))
                self.report.error((*path, index), f"the same {what} as item {first} of this list")

    def limits(self, value: float, schema: Mapping[str, Any], path: Path) -> None:
        least, most = schema.get("minimum"), schema.get("maximum")
        bits = {"int32": 31, "int64": 63}.get(schema.get("format", ""))
        if schema.get("type") == "integer":
            bits = bits or 63
            least = -(2**bits) if least is None else least
            most = 2**bits - 1 if most is None else most
        if (least is not None and value < least) or (most is not None and value > most):
            allowed = f"{least} to {most}" if most is not None else f"at least {least}"
            self.report.error(path, "the number is out of range", found=value, allowed=allowed)

    def text(self, value: str, schema: Mapping[str, Any], path: Path) -> None:
        most = schema.get("maxLength")
        if most is not None and len(value) > most:
            self.report.error(
                path, "the text is too long", found=value, allowed=f"at most {most} characters"
            )
        if (
            schema.get("format") == "date-time"
            and self.schema.custom
            and not _TIME.fullmatch(value)
        ):
            self.report.error(
                path, "not a time", found=value, allowed="such as 2026-01-31T12:00:00Z"
            )

    def one_of(
        self, value: dict[str, Any], alternatives: list[Mapping[str, Any]], path: Path
    ) -> None:
        if sum(matches(value, alternative) for alternative in alternatives) == 1:
            return
        names = [name for alternative in alternatives for name in alternative.get("required", ())]
        present = [name for name in names if name in value]
        self.report.error(
            path,
            "only one of these fields may be set",
            found=" and ".join(present) or value,
            allowed="one of " + ", ".join(names),
            hint=f"remove {' or '.join(f'`{name}`' for name in present)}" if present else "",
        )


def matches(value: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    """Whether a mapping has the fields that a schema of `required`, `not`, `anyOf`, `oneOf`,
    `allOf` asks for.
    """
    return (
        all(name in value for name in schema.get("required", ()))
        and not ("not" in schema and matches(value, schema["not"]))
        and not ("anyOf" in schema and not any(matches(value, part) for part in schema["anyOf"]))
        and not ("oneOf" in schema and sum(matches(value, part) for part in schema["oneOf"]) != 1)
        and all(matches(value, part) for part in schema.get("allOf", ()))
    )


def places(schema: Schema, name: str, value: Any) -> list[str]:
    """Where in the schema a field of this name is at home, the shallowest first.

    >>> places(schema_of(gateway), "hosts", ["*"])
    ['spec.servers[]']
    """
    found: list[str] = []
    level: list[tuple[str, Mapping[str, Any], int]] = [("", schema.root, 0)]
    while level and len(found) < 3:
        below: list[tuple[str, Mapping[str, Any], int]] = []
        for path, part, depth in level:
            part = schema.resolve(part)
            if part.get("type") == "array":
                below.append((f"{path}[]", part.get("items", {}), depth))
                continue
            properties = part.get("properties", {})
            if name in properties and path and not path.startswith("status"):
                wanted = schema.resolve(properties[name]).get("type")
                if wanted is None or value is None or isinstance(value, _TYPES[wanted]):
                    found.append(path)
            if depth < 5:
                below.extend(
                    (f"{path}.{key}" if path else key, item, depth + 1)
                    for key, item in properties.items()
                )
        level = below
    return found


def _int_or_string(value: Any, path: Path, report: Report) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, str))):
        report.error(path, "the type is wrong", found=value, allowed="a whole number or text")


def _quantity(value: Any, path: Path, report: Report) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        report.error(path, "the type is wrong", found=value, allowed=f"a quantity {FORM}")
    elif amount(value) is None:
        report.error(path, "not a quantity", found=value, allowed=FORM)


def _time(value: Any, path: Path, report: Report) -> None:
    if value is not None and not (isinstance(value, str) and _TIME.fullmatch(value)):
        report.error(path, "not a time", found=value, allowed="such as 2026-01-31T12:00:00Z")


# Types of Kubernetes whose schema does not say all.
_REFERENCES: dict[str, Callable[[Any, Path, Report], None]] = {
    "IntOrString": _int_or_string,
    "Quantity": _quantity,
    "Time": _time,
}
