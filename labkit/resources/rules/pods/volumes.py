"""What the API server checks of a pod's volumes and of where containers mount them."""

from __future__ import annotations

from labkit.resources import names
from labkit.resources.finding import Report
from labkit.resources.model import Path
from labkit.resources.rules.shared import Fields, block, items


def check_volumes(volumes: list[Fields], path: Path, report: Report) -> set[str]:
    """Adds what is wrong with the volumes to the report; returns their names."""
    seen: set[str] = set()
    for index, volume in enumerate(volumes):
        place = (*path, index)
        name = volume.get("name") or ""
        if not names.dns_label(name):
            report.error(
                (*place, "name"), "not a name for a volume", found=name, allowed=names.LABEL_FORM
            )
        seen.add(name)
        sources = [key for key, value in volume.items() if key != "name" and value is not None]
        if len(sources) > 1:
            report.error(place, "a volume has one source", found=", ".join(sources))
        # Without a source it is an emptyDir.
        for source in sources[:1]:
            _source(source, block(volume, source) or {}, (*place, source), report)
    return seen


def _source(kind: str, fields: Fields, path: Path, report: Report) -> None:
    required = {"configMap": "name", "secret": "secretName", "hostPath": "path"}.get(kind)
    if required and not fields.get(required):
        report.error((*path, required), "the field is required and missing")
    if kind not in ("configMap", "secret"):
        return
    modes = [((*path, "defaultMode"), fields.get("defaultMode"))]
    paths: set[str] = set()
    for index, item in enumerate(items(fields, "items")):
        place = (*path, "items", index)
        target = item.get("path") or ""
        if not item.get("key"):
            report.error((*place, "key"), "the field is required and missing")
        if not target or target.startswith("/") or ".." in target.split("/"):
            report.error((*place, "path"), "not a path inside the volume", found=target)
        if target and target in paths:
            report.warning(place, "two items at the same path", found=target)
        paths.add(target)
        modes.append(((*place, "mode"), item.get("mode")))
    for place, mode in modes:
        if mode is not None and not 0 <= mode <= 0o777:
            report.error(place, "not a file mode", found=mode, allowed="0 to 0777 (511)")


def check_mounts(mounts: list[Fields], volumes: set[str], path: Path, report: Report) -> None:
    """Adds what is wrong with a container's mounts to the report."""
    for index, mount in enumerate(mounts):
        place = (*path, index)
        name, target = mount.get("name") or "", mount.get("mountPath") or ""
        if name not in volumes:
            report.error(
                (*place, "name"),
                "there is no such volume",
                found=name,
                allowed=", ".join(sorted(volumes)) or "(none)",
            )
        if not target:
            report.error((*place, "mountPath"), "the field is required and missing")
        subpath = mount.get("subPath") or ""
        if subpath.startswith("/") or ".." in subpath.split("/"):
            report.error((*place, "subPath"), "not a path inside the volume", found=subpath)
