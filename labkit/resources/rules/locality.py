"""What Istio's webhook checks of locality load balancing in a DestinationRule."""

from __future__ import annotations

from labkit.resources.finding import Report
from labkit.resources.model import Path
from labkit.resources.rules.shared import Fields, items

_TOPOLOGY = (
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "topology.istio.io/subzone",
)


def locality_setting(
    setting: Fields | None, outlier: Fields | None, path: Path, report: Report
) -> None:
    """`localityLbSetting`: distribute or failover, and not both."""
    if setting is None:
        return
    distribute, failover = items(setting, "distribute"), items(setting, "failover")
    if distribute and failover:
        report.error((*path, "failover"), "only one of distribute and failover may be set")
        return
    for index, label in enumerate(items(setting, "failoverPriority")):
        if failover and label in _TOPOLOGY:
            report.error(
                (*path, "failoverPriority", index),
                "a topology label can't be used with failover",
                found=label,
            )
            return
    if not _distribute(distribute, (*path, "distribute"), report):
        return
    _localities([item.get("from") or "" for item in distribute], (*path, "distribute"), report)
    _warn_without_outlier(setting, outlier, path, report)
    _failover(setting, path, report)


def zone_aware_setting(
    setting: Fields | None, outlier: Fields | None, path: Path, report: Report
) -> None:
    """`zoneAwareLbSetting`: failover between regions only."""
    if setting is None:
        return
    for index, label in enumerate(items(setting, "failoverPriority")):
        if label in _TOPOLOGY:
            report.error(
                (*path, "failoverPriority", index),
                "a topology label can't be used here",
                found=label,
            )
    _warn_without_outlier(setting, outlier, path, report)
    _failover(setting, path, report)


def _warn_without_outlier(
    setting: Fields, outlier: Fields | None, path: Path, report: Report
) -> None:
    if (items(setting, "failover") or items(setting, "failoverPriority")) and outlier is None:
        report.warning(
            path,
            "failover works only with outlierDetection beside it",
            hint="add an outlierDetection",
        )


def _distribute(distribute: list[Fields], path: Path, report: Report) -> bool:
    for index, item in enumerate(distribute):
        weights = item.get("to") or {}
        place = (*path, index, "to")
        for name, weight in weights.items():
            if not 0 < (weight or 0) <= 100:
                report.error(
                    (*place, name), "the weight is out of range", found=weight, allowed="1 to 100"
                )
                return False
        if sum(weights.values()) != 100:
            report.error(
                place, "the weights must add up to 100", found=sum(weights.values()), allowed="100"
            )
            return False
        _localities(list(weights), place, report)
    return True


def _failover(setting: Fields, path: Path, report: Report) -> None:
    for index, item in enumerate(items(setting, "failover")):
        place = (*path, "failover", index)
        start, end = item.get("from") or "", item.get("to") or ""
        if start == end:
            report.error(place, "`from` and `to` must be different regions", found=start)
        if "/" in start + end:
            report.error(place, "failover is between regions, without zones", found=item)
        if "*" in start + end:
            report.error(place, "a region can't be a wildcard", found=item)


def _localities(localities: list[str], path: Path, report: Report) -> None:
    """region/zone/subzone, each part or `*` at the end; none may cover another that was named
    before.
    """
    seen: list[tuple[str, ...]] = []
    for locality in localities:
        parts = tuple(locality.split("/", 2))
        if locality.count("*") > 1 or ("*" in locality and not locality.endswith("*")):
            report.error(path, "a locality may have one `*`, at its end", found=locality)
            return
        if any(_covers(before, parts) for before in seen):
            report.error(path, "a locality overlaps with one named before", found=locality)
            return
        if "" in parts:
            report.error(
                path,
                "a part of the locality is empty",
                found=locality,
                allowed="region/zone/subzone",
            )
            return
        seen.append(parts)


def _covers(before: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    """Whether the two overlap; only a `*` that comes first counts as one."""
    return all(one in ("*", other) for one, other in zip(before, parts, strict=False))
