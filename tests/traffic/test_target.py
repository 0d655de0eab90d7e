from __future__ import annotations

import pytest

from labkit.errors import TrafficError
from labkit.traffic import Target, split_url
from labkit.traffic.target import clean_path, split_authority


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://test.example.com", ("test.example.com", "/")),
        ("http://test.example.com/v2?a=1&b=2#top", ("test.example.com", "/v2?a=1&b=2")),
        ("http://test.example.com?a=1", ("test.example.com", "/?a=1")),
        ("HTTP://user:word@hello-world:8080/x", ("hello-world:8080", "/x")),
        ("hello-world/x", ("hello-world", "/x")),
        ("http://a/b c/ü", ("a", "/b%20c/%C3%BC")),
        ("http://a//b", ("a", "//b")),
        ("http://a/%2F", ("a", "/%2F")),
    ],
)
def test_a_url_is_split_into_authority_and_path(url: str, expected: tuple[str, str]) -> None:
    assert split_url(url) == expected


@pytest.mark.parametrize("url", ["https://a/", "http:///x", "ftp://a/"])
def test_what_the_lab_cannot_send_is_refused_with_the_next_step(url: str) -> None:
    with pytest.raises(TrafficError, match=r"HTTP|host"):
        split_url(url)


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ("a", ("a", 80)),
        ("a:8080", ("a", 8080)),
        ("[::1]", ("::1", 80)),
        ("[::1]:8080", ("::1", 8080)),
    ],
)
def test_host_and_port(authority: str, expected: tuple[str, int]) -> None:
    assert split_authority(authority) == expected


def test_a_bad_port_is_named() -> None:
    with pytest.raises(TrafficError, match="'http' is not a port"):
        split_authority("a:http")


def test_the_target_of_a_url_connects_to_what_the_url_names() -> None:
    assert Target.of("http://127.0.0.1:8080/v2?a=1") == (
        Target("127.0.0.1", 8080, "127.0.0.1:8080"),
        "/v2?a=1",
    )


def test_a_path_always_starts_with_a_slash() -> None:
    assert clean_path("v2") == "/v2"
    assert clean_path("") == "/"
    assert "\n" not in clean_path("/a\nb")
