"""Each Envoy keeps its own account of a pod: seen at the same time through three of them."""

from __future__ import annotations

import pandas as pd
import pytest

import labkit
from labkit.errors import LessonError, NotReady
from labkit.lessons import CheckFailed
from labkit.lessons.checks import check
from labkit.lessons.checks.breaker import Sample, ejections
from labkit.lessons.checks.ejections import Caller, CallerWatch, Watched, stays, watch_callers
from labkit.lessons.checks.pace import chosen, measure_pace
from labkit.lessons.config_dump import configured
from tests.mesh.conftest import CLIENT, CLUSTER, GATEWAY, HELLO, ROUTE, URL

QUICK = "06_outlier_detection/quick.yaml"


def samples(*outs: bool) -> list[Sample]:
    """A sample every second."""
    return [Sample(float(at), at + 0.1, out) for at, out in enumerate(outs)]


def test_stays() -> None:
    assert list(stays(samples(False, True, True, False, True, False))) == [(1.0, 3.0), (4.0, 5.0)]
    assert list(stays(samples(True, True, False, False))) == [], "when it began is not known"
    assert list(stays(samples(False, True))) == [], "it is not over"


def test_what_was_watched_is_a_frame_for_the_timeline() -> None:
    watched = Watched({"a": samples(False, True, False), "b": samples(False, False)})
    assert watched.frame.to_dict("records") == [{"pod": "a", "from_s": 1.0, "to_s": 2.0}]
    assert repr(watched) == "a: out for 1.0 s\nb: out for no time"
    assert list(watched) == ["a", "b"]
    assert len(watched) == 2
    with pytest.raises(LessonError, match="callers: a, b"):
        watched["c"]


@pytest.mark.embedded
def test_three_callers_of_one_failing_pod() -> None:
    with labkit.open_mesh("embedded") as mesh:
        mesh.apply(HELLO, CLIENT, GATEWAY, ROUTE)
        mesh.scale("hello-world-v2", 0)
        mesh.scale("hello-world-v1", 1)
        mesh.scale("client", 2)
        (pod,) = (one.name for one in mesh.pods("hello-world"))
        mesh.control(pod, fail_share=1.0)
        calm, capped = (one.name for one in mesh.pods("client"))
        inside = "http://hello-world/"
        callers = [
            Caller("out", URL),
            Caller("calm", inside, calm, rest_sweeps=2.5),
            Caller("capped", inside, capped),
        ]
        pace = measure_pace(mesh, callers)
        mesh.runtime({"outlier_detection.max_ejection_time_ms": 1000 * pace.base_s}, proxy=capped)
        # last: a change of the set of pods is followed by a second in which changes wait
        mesh.apply(pace.rule(QUICK))
        policy = configured(mesh, CLUSTER, "outlier_detection", proxy=calm)
        assert (policy["interval"], policy["base_ejection_time"]) == pace.as_envoy_says
        watched = watch_callers(mesh, pod, callers, interval_s=pace.interval_s, until=2)
    times = pace.times
    assert check.ejection_times(watched["out"], **times, multiples=(1, 2))
    assert check.ejection_times(watched["calm"], **times, multiples=(1, 1))
    assert check.ejection_times(watched["capped"], **times, multiples=(1, 2), max_s=pace.base_s)
    for name, multiples in (("out", (1, 1)), ("calm", (1, 2)), ("capped", (1, 2))):
        with pytest.raises(CheckFailed):
            check.ejection_times(watched[name], **times, multiples=multiples)


class Slow:
    """A mesh whose Envoy ejects the pod at each call, and whose clock the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.out, self.calls = 0.0, False, 0
        self.call_s = 0.0
        monkeypatch.setattr("labkit.lessons.checks.ejections.time.monotonic", lambda: self.now)
        monkeypatch.setattr("labkit.lessons.checks.ejections.curl", self.curl)

    def endpoints(self, proxy: str) -> pd.DataFrame:
        return pd.DataFrame(
            {"pod": ["a"], "health": ["failed_outlier_check" if self.out else "healthy"]}
        )

    def target(self, url: str, source: str | None) -> tuple[str, str]:
        return url, "/"

    def curl(self, target: str, path: str, n: int, **options: bool) -> None:
        self.now += self.call_s
        self.out, self.calls = True, self.calls + 1


@pytest.mark.parametrize(("call_s", "anew"), [(0.3, 0), (0.5, 1)])
def test_what_took_longer_than_an_interval_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, call_s: float, anew: int
) -> None:
    mesh = Slow(monkeypatch)
    watch = CallerWatch(mesh, "a", Caller("b", URL), 0.4, 2)  # type: ignore[arg-type]

    def look_until(now: float) -> None:
        while mesh.now < now:
            watch.look(9)
            mesh.now += 0.01

    look_until(0.1)
    mesh.out = False  # back after the first stay
    mesh.call_s = call_s
    look_until(1.0)
    assert (mesh.calls, watch.anew, len(ejections(watch.samples))) == (2, anew, 0 if anew else 1)
    mesh.call_s, mesh.out = 0.0, False  # back after the second
    look_until(1.0 + 0.4 * 1.5 * 3 - 0.02)
    assert (mesh.calls, mesh.out) == ((2, False) if anew else (3, True)), (
        "it rests until the count is 0, or goes on"
    )
    look_until(1.0 + 0.4 * 1.5 * 3 + 0.1)
    assert mesh.calls == 3


@pytest.mark.parametrize(
    ("look_s", "call_s", "base_s"),
    [(0.003, 0.005, 2), (0.02, 0.22, 2), (0.02, 0.24, 4), (0.4, 0.5, 8), (1.0, 1.0, 16)],
)
def test_the_times_leave_room_for_what_looks_and_calls_take(
    look_s: float, call_s: float, base_s: int
) -> None:
    pace = chosen(look_s, call_s)
    assert pace.base_s == base_s
    assert 2 * (look_s + call_s) <= pace.interval_s
    blur = 2 * look_s + call_s  # of an ejection that is seen with a look and a call between samples
    assert pace.interval_s + pace.times["late_s"] + blur < pace.base_s, (
        "check.ejection_times judges"
    )


def test_a_machine_that_is_too_slow_for_any_times_is_told_so() -> None:
    with pytest.raises(NotReady, match=r"even of 16 s\n.*1\.50 s, and the requests 1\.50 s"):
        chosen(1.5, 1.5)


def test_the_rule_is_the_courses_own_but_for_its_times() -> None:
    pace = chosen(0.1, 0.3)
    text = str(pace.rule(QUICK))
    assert pace.as_envoy_says == ("1s", "4s")
    assert "interval: 1s" in text
    assert "baseEjectionTime: 4s # more than one second" in text
    assert "consecutive5xxErrors: 2" in text
    assert repr(pace) == (
        "To look at the endpoints takes up to 100 ms here, and to send the errors up to 300 ms.\n"
        "That is fast enough for an interval of 1s and a baseEjectionTime of 4s."
    )
