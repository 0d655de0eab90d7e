"""The picture of a mesh as plain data, and as SVG: who sends to whom, how much, and who is out.

`model` turns what a MeshWatch knows into a dict of texts and numbers; `svg` draws that, and nothing
else. The drawing is made here and not in the browser, so that a notebook without a browser and an
exported page show the same one.
"""

from __future__ import annotations

import html
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from labkit.mesh import PodInfo
from labkit.resources.podnames import short_names
from labkit.ui.panels.meshwatch import MeshWatch, SeenEjection
from labkit.ui.panels.samples import COUNTERS, MeshSample
from labkit.ui.plots.style import EJECTED as OUT
from labkit.ui.plots.style import ERROR, GREY, HEALTHY, INK, PAPER, look, themed

if TYPE_CHECKING:
    import pandas as pd

Model = dict[str, Any]

READY, EJECTED, CRASHED, STARTING, UNREADY, ENDING = (
    "ready",
    "ejected",
    "crashed",
    "starting",
    "not ready",
    "ending",
)
STARTING_S = 15.0
CRASHES = re.compile(r"(Init:)?(CrashLoopBackOff|Error|OOMKilled)")
STARTS = re.compile(r"Pending|ContainerCreating|PodInitializing|Init:\d+/\d+")


def model(watch: MeshWatch) -> Model:
    """What is to be seen: {"source", "per_second", "requests", "counters", "moment", "groups":
    [{…, "pods": […]}]}. Of each pod and group: its rate a second, and its share of errors, lately.

    >>> model(watch)["groups"][0]["pods"][0]["state"]
    'ready'
    """
    now = watch.last
    if now is None:
        return {
            "source": watch.proxy,
            "per_second": 0.0,
            "requests": 0,
            "counters": {},
            "moment": "",
            "groups": [],
        }
    seconds, lately = watch.lately
    failed = watch.lately_failed
    total = sum(lately.values())
    groups: dict[tuple[str, str], list[Model]] = {}
    for pod in now.pods:
        if pod.workload in watch.workloads or pod.version:
            one = pod_model(pod, watch, now)
            mine = lately.get(pod.name, 0)
            one["share"] = round(mine / total, 3) if total else 0.0
            one["per_second"] = round(mine / seconds, 1) if seconds else 0.0
            one["errors"] = round(failed.get(pod.name, 0) / mine, 3) if mine else 0.0
            groups.setdefault((pod.workload, pod.version), []).append(one)
    return {
        "source": watch.proxy,
        "per_second": round(total / seconds, 1) if seconds else 0.0,
        "requests": sum(watch.sent.values()),
        "counters": dict(now.counters),
        "moment": time.strftime("%H:%M:%S", time.localtime(now.at)),
        "groups": [
            {
                "name": workload,
                "version": version,
                "share": round(sum(pod["share"] for pod in pods), 3),
                "p99_ms": watch.p99_ms(pod["name"] for pod in pods if pod["share"]),
                "pods": pods,
            }
            for (workload, version), pods in sorted(groups.items())
        ],
    }


def pod_model(pod: PodInfo, watch: MeshWatch, now: MeshSample) -> Model:
    state, out = state_of(pod, watch, now)
    left = out.left_s(now.at) if out is not None else None
    words = state
    if out is not None and left is not None:
        most = "at most " if out.earlier else ""
        words = (
            f"ejected, {most}{span(left)} left" if left else "ejected, back at Envoy's next sweep"
        )
    elif state == CRASHED:
        words = "crashed, restarting"
    elif state in (STARTING, UNREADY):
        # kubectl's own word where it says more: ImagePullBackOff, Evicted, Completed …
        words = (
            f"{state if state == STARTING or pod.status == 'Running' else pod.status} ({pod.ready})"
        )
    if pod.restarts and state != CRASHED:
        words += f", restarts: {pod.restarts}"
    return {
        "name": pod.name,
        "state": state,
        "words": words,
        "left_s": round(left, 1) if left is not None else None,
        "requests": watch.sent.get(pod.name, 0),
        "restarts": pod.restarts,
    }


def span(seconds: float) -> str:
    """A time as one says it.

    >>> span(29.6), span(900)
    ('30 s', '15 min')
    """
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def state_of(pod: PodInfo, watch: MeshWatch, now: MeshSample) -> tuple[str, SeenEjection | None]:
    """One word for a pod; of an ejected one also its ejection."""
    if pod.status == "Terminating":
        return ENDING, None
    if CRASHES.fullmatch(pod.status):
        return CRASHED, None
    if STARTS.fullmatch(pod.status):  # however long it takes: an image may have to be fetched
        return STARTING, None
    if pod.status != "Running":
        return UNREADY, None
    if not pod.is_ready:
        return (
            STARTING if now.at - pod.created < STARTING_S and not pod.restarts else UNREADY
        ), None
    out = next((e for e in watch.ejections if e.pod == pod.name and e.until is None), None)
    return (READY, None) if out is None else (EJECTED, out)


def table(of: Mapping[str, Any]) -> pd.DataFrame:
    """The same in text: a row a pod."""
    import pandas as pd

    rows = [
        (
            pod["name"],
            group["version"],
            pod["words"],
            pod["requests"],
            round(100 * pod["share"], 1),
            pod["per_second"],
            round(100 * pod["errors"], 1),
            group["p99_ms"] if pod["share"] else None,
        )
        for group in of["groups"]
        for pod in group["pods"]
    ]
    columns = ["pod", "version", "state", "total requests", "recent share %"]
    columns += ["requests/s", "errors %", "p99 ms"]
    return pd.DataFrame(rows, columns=columns).astype({"p99 ms": float})


def summary(of: Mapping[str, Any]) -> str:
    """One sentence, for who can't see the picture."""
    pods = [pod for group in of["groups"] for pod in group["pods"]]
    parts = [f"{of['per_second']:g} requests per second from the {who(of)} to {len(pods)} pods"]
    parts += [
        f"{group['name']} gets {100 * group['share']:.0f} %"
        for group in of["groups"]
        if of["per_second"]
    ]
    short = short_names(pod["name"] for pod in pods)
    parts += [
        f"{100 * pod['errors']:.0f} % errors from {short[pod['name']]}"
        for pod in pods
        if pod["errors"]
    ]
    parts += [f"{short[pod['name']]} is {pod['words']}" for pod in pods if pod["state"] != READY]
    parts += [
        f"{word}: {of['counters'][word]}"
        for word in ("waiting", "refused")
        if of["counters"].get(word)
    ]
    return "; ".join(parts) + "."


def who(of: Mapping[str, Any]) -> str:
    return "gateway" if of["source"] == "gateway" else f"sidecar of {of['source']}"


# drawing

WIDTH, LEFT, MIDDLE, RIGHT = 860, 110, 300, 600
POD_HEIGHT, GAP, HEAD = 42, 8, 26
THINNEST, THICKEST = 1.5, 16.0
PIECE, SEEN = 24.0, 2.0
"""The pieces of a line, and how much of one can be seen."""
FONT = "font-family='inherit'"
LINES, GROUND, NOTHING = themed(INK), themed(PAPER), themed(GREY)


def svg(of: Mapping[str, Any], *, live: bool = False) -> str:
    """The picture: "now" where it is `live`, else of its moment. Line width: share of the requests
    lately; the red part of it: came to an error; crossed out: ejected.

    >>> svg(model(watch)).startswith("<svg")
    True
    """
    rows = sum(HEAD + len(group["pods"]) * (POD_HEIGHT + GAP) for group in of["groups"])
    height = max(170, rows + 20)
    centre = height / 2
    lines, boxes = [], []
    short = short_names(pod["name"] for group in of["groups"] for pod in group["pods"])
    busy = of["per_second"] > 0
    lines.append(link(LEFT, centre, MIDDLE - 80, centre, 1.0 if busy else 0.0, LINES))
    y = (height - rows) / 2 + 4
    for group in of["groups"]:
        colour = themed(look(group["version"]).colour)
        label = f"{group['name']}  {100 * group['share']:.0f} %" if busy else group["name"]
        if group["p99_ms"] is not None:
            label += f", p99 {group['p99_ms']:.0f} ms"
        boxes.append(text(RIGHT, y + 16, label, weight="600"))
        y += HEAD
        for pod in group["pods"]:
            middle = y + POD_HEIGHT / 2
            share = pod["share"] if busy else 0.0
            way = link(
                MIDDLE + 80, centre, RIGHT, middle, share, themed(HEALTHY), errors=pod["errors"]
            )
            told = f"from the {who(of)} to {short[pod['name']]}, {rate(pod)}"
            if busy and pod["share"]:
                # on the side of the line from which it does not come
                half = width_of(pod["share"]) / 2
                beside = middle + half + 14 if middle > centre else middle - half - 4
                weight = "600" if pod["errors"] else "400"
                way += text(RIGHT - 6, beside, rate(pod), anchor="end", size=13, weight=weight)
            lines.append(part(f"way {pod['name']}", told, way))
            boxes.append(pod_box(pod, short[pod["name"]], y, colour))
            y += POD_HEIGHT + GAP
    boxes.append(
        box(
            10,
            centre - 24,
            LEFT - 10,
            48,
            "you" if of["source"] == "gateway" else str(of["source"]),
        )
    )
    boxes.append(part("proxy", who(of), box(MIDDLE - 80, centre - 24, 160, 48, who(of))))
    boxes.append(text(LEFT + 8, centre - 14, f"{of['per_second']:g}/s"))
    if of["moment"]:
        boxes.append(text(10, 18, "now" if live else f"at {of['moment']}", weight="600"))
    for number, word in enumerate(("waiting", "refused", "retries")):
        count = of["counters"].get(word, 0)
        weight = "600" if count else "400"
        told = f"{word} ({COUNTER_TERMS[word]}): {count}"
        boxes.append(text(MIDDLE - 90, centre + 44 + 18 * number, told, weight=weight, size=13))
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height:.0f}' "
        f"width='{WIDTH}' "
        f"height='{height:.0f}' style='max-width:100%;height:auto' role='img' "
        f"aria-label='{html.escape(summary(of), quote=True)}' {FONT}>"
        f"<rect width='{WIDTH}' height='{height:.0f}' "
        f"fill='{GROUND}'/>{''.join(lines)}{''.join(boxes)}</svg>"
    )


COUNTER_TERMS = {word: COUNTERS[word].removeprefix("upstream_rq_") for word in COUNTERS}


def link(
    x1: float,
    y1: float,
    x2: float,
    y2: float,
    share: float,
    colour: str,
    *,
    errors: float = 0.0,
) -> str:
    """A line as wide as its share of the requests, dashed where it has none. Of each piece of it
    the part that came to an error has the errors' colour: also one in a hundred is seen.
    """
    bend = (x1 + x2) / 2
    path = f"M{x1:.0f} {y1:.1f} C{bend:.0f} {y1:.1f} {bend:.0f} {y2:.1f} {x2:.0f} {y2:.1f}"
    if not share:
        return (
            f"<path d='{path}' fill='none' stroke='{NOTHING}' stroke-width='{THINNEST}' "
            "stroke-dasharray='4 4'/>"
        )
    width = width_of(share)

    def drawn(colour: str, more: str = "stroke-opacity='0.75'") -> str:
        return f"<path d='{path}' fill='none' stroke='{colour}' stroke-width='{width:.1f}' {more}/>"

    if errors >= 1:
        return drawn(themed(ERROR))
    if not errors:
        return drawn(colour)
    red = min(max(SEEN, PIECE * errors), PIECE - SEEN)
    return drawn(colour) + drawn(themed(ERROR), f"stroke-dasharray='{red:.1f} {PIECE - red:.1f}'")


def width_of(share: float) -> float:
    return THINNEST + (THICKEST - THINNEST) * share


def rate(pod: Mapping[str, Any]) -> str:
    """What goes along a line, in words.

    >>> rate({"per_second": 12.5, "errors": 0.08})
    '12.5/s, 8 % errors'
    """
    part = 100 * pod["errors"]
    errors = f", {f'{part:.0f}' if part >= 1 else '< 1'} % errors" if part else ""
    return f"{pod['per_second']:g}/s{errors}"


def part(name: str, told: str, inside: str) -> str:
    """A part that a view may open: its name, and what is said of it to who can't see it."""
    return f"<g {opens(name, told)}>{inside}</g>"


def opens(name: str, told: str) -> str:
    return (
        f"data-part='{html.escape(name, quote=True)}' data-told='{html.escape(told, quote=True)}'"
    )


def box(x: float, y: float, width: float, height: float, label: str) -> str:
    words = text(x + width / 2, y + height / 2 + 5, label, anchor="middle", weight="600")
    return (
        f"<rect x='{x}' y='{y:.1f}' width='{width}' height='{height}' rx='6' fill='{GROUND}' "
        f"stroke='{LINES}' stroke-width='1.5'/>{words}"
    )


def pod_box(pod: Mapping[str, Any], name: str, y: float, colour: str) -> str:
    """A pod: its name, what is the matter with it, and how many requests it got; crossed out when
    it is ejected.
    """
    ready = pod["state"] == READY
    width = WIDTH - RIGHT - 10
    dash = "" if ready or pod["state"] == EJECTED else " stroke-dasharray='5 3'"
    parts = [
        f"<g data-pod='{html.escape(pod['name'], quote=True)}' data-state='{pod['state']}' "
        f"{opens('pod ' + pod['name'], name + ', ' + pod['words'])}>",
        f"<rect x='{RIGHT}' y='{y:.1f}' width='{width}' height='{POD_HEIGHT}' rx='4' "
        f"fill='{GROUND}' stroke='{colour}' "
        f"stroke-width='2.5'{dash}/>",
    ]
    if pod["state"] == EJECTED:
        for a, b in ((0, POD_HEIGHT), (POD_HEIGHT, 0)):
            parts.append(
                f"<line x1='{RIGHT}' y1='{y + a:.1f}' x2='{RIGHT + width}' y2='{y + b:.1f}' "
                f"stroke='{themed(OUT)}' "
                "stroke-width='2.5' stroke-opacity='0.55'/>"
            )
    told = f"{pod['requests']} requests, {100 * pod['share']:.0f} %" if ready else pod["words"]
    parts.append(text(RIGHT + 8, y + 18, name, size=14, weight="600"))
    parts.append(
        text(
            RIGHT + 8,
            y + 35,
            told if not (ready and pod["restarts"]) else f"{told}, {pod['words']}",
            size=13,
        )
    )
    return "".join([*parts, "</g>"])


def text(
    x: float, y: float, words: str, *, anchor: str = "start", size: int = 14, weight: str = "400"
) -> str:
    return (
        f"<text x='{x:.0f}' y='{y:.1f}' font-size='{size}' font-weight='{weight}' "
        f"text-anchor='{anchor}' "
        # a line may be under them: they have a rim
        f"fill='{LINES}' stroke='{GROUND}' stroke-width='3' paint-order='stroke'>"
        f"{html.escape(words)}</text>"
    )
