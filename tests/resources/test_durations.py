"""Both grammars of durations; that of manifests against what a real API server said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from labkit.resources.durations import (
    go_text,
    nanoseconds,
    parsed,
    protobuf_seconds,
    protobuf_text,
    seconds,
)

RECORDED = json.loads((Path(__file__).parent / "data" / "recorded.json").read_text())
INTERVALS = [case for case in RECORDED if case["name"].startswith("dr-outlier-interval-")]
UNREADABLE = ("type conversion error from 'string' to 'google.protobuf.Duration'", "bad Duration")


def test_a_real_api_server_reads_the_same_durations() -> None:
    judged = 0
    for case in INTERVALS:
        policy = yaml.safe_load(case["yaml"])["spec"]["trafficPolicy"]
        text = policy["outlierDetection"]["interval"]
        if isinstance(text, str):
            read = not any(words in case["message"] for words in UNREADABLE)
            assert (nanoseconds(text) is not None) == read, (text, case["message"])
            judged += 1
    assert judged >= 25


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1h30m", 5400),
        ("0.5s", 0.5),
        ("500us", 0.0005),
        ("1m1s1ms", 61.001),
        ("-1s", -1),
        ("+1s", 1),
        ("0", 0),
        (".5s", 0.5),
        ("5.s", 5),
    ],
)
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "1d",
        "5 s",
        "5S",
        "s",
        "1e3s",
        "-",
        ".s",
        "2562048h",
        "5min",
        "--5s",
        "+-5s",
        "-+5s",
    ],
)
def test_what_is_no_duration(text: str) -> None:
    assert nanoseconds(text) is None
    with pytest.raises(ValueError, match="not a duration"):
        seconds(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.25, "250ms"), (5, "5s"), (90.5, "1m30.5s"), (3600, "1h0m0s"), (60, "1m0s")],
)
def test_durations_are_written_as_go_does(value: float, text: str) -> None:
    assert go_text(value) == text
    assert seconds(text) == value


@given(st.integers(-(10**18), 10**18))
def test_what_is_written_for_protocol_buffers_is_read_again(value: int) -> None:
    text = protobuf_text(value)
    assert protobuf_seconds(text) == pytest.approx(value / 10**9)
    assert parsed(text) == value  # it is a duration of Go's as well


@pytest.mark.parametrize("text", ["", "1m", "500ms", "5", ".5s", "5.s", "+5s", "1.0000000001s"])
def test_protocol_buffers_read_seconds_alone(text: str) -> None:
    with pytest.raises(ValueError, match="protocol buffers"):
        protobuf_seconds(text)
