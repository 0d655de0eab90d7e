"""Each Envoy keeps its own account of a pod: seen at the same time through three of them."""

from __future__ import annotations

import pytest

import labkit
from labkit.errors import LessonError
from labkit.lessons import CheckFailed, check
from labkit.lessons.check_breaker import Sample
from labkit.lessons.ejections import Caller, Watched, stays, watch_callers
from labkit.lessons.told import told
from tests.mesh.conftest import CLIENT, CLUSTER, GATEWAY, HELLO, ROUTE, URL, rule

QUICK = (
    "{outlierDetection: {consecutive5xxErrors: 2, interval: 400ms, baseEjectionTime: 1.1s, maxEjectionPercent: 100}}"
)


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
        mesh.apply(rule(QUICK))  # last: a change of the set of pods is followed by a second in which changes wait
        (pod,) = (one.name for one in mesh.pods("hello-world"))
        mesh.control(pod, fail_share=1.0)
        calm, capped = (one.name for one in mesh.pods("client"))
        mesh.runtime({"outlier_detection.max_ejection_time_ms": 1100}, proxy=capped)
        assert told(mesh, CLUSTER, "outlier_detection", proxy=calm)["base_ejection_time"] == "1.100s"
        inside = "http://hello-world/"
        callers = [Caller("out", URL), Caller("calm", inside, calm, rest_s=1), Caller("capped", inside, capped)]
        watched = watch_callers(mesh, pod, callers, until=2)
    times = {"base_s": 1.1, "interval_s": 0.4}
    assert check.ejection_times(watched["out"], **times, multiples=(1, 2))
    assert check.ejection_times(watched["calm"], **times, multiples=(1, 1))
    assert check.ejection_times(watched["capped"], **times, multiples=(1, 2), max_s=1.1)
    for name, multiples in (("out", (1, 1)), ("calm", (1, 2)), ("capped", (1, 2))):
        with pytest.raises(CheckFailed):
            check.ejection_times(watched[name], **times, multiples=multiples)
