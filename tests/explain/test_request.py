"""A request as Envoy compares it. What is expected of paths is what an Envoy of 1.36 sent on."""

from __future__ import annotations

import pytest

from labkit.explain.request import normalised, request_of, seen_by

BASE = {"normalize_path": True, "path_with_escaped_slashes_action": "KEEP_UNCHANGED"}


@pytest.mark.parametrize(
    ("path", "read"),
    [
        ("/a/%2e%2e/c", "/c"),
        ("/a%2e%2e/b", "/a../b"),
        ("/a//../b", "/a/b"),
        ("/a/..", "/"),
        ("/..", "/"),
        ("/a/.?b=/../c", "/a/?b=/../c"),
        ("/a/..;/b", "/b"),
        ("/a/b/.;x", "/a/b/"),
        ("/a\\b", "/a/b"),
        ("/%41%7e%2F%3a%zz%", "/A~%2F%3a%zz%"),
        ('/"<|', "/%22%3C%7C"),
        ("//", "//"),
        ("/...", "/..."),
    ],
)
def test_a_path_is_made_plain(path: str, read: str) -> None:
    assert normalised(path, BASE) == read


def test_what_path_normalization_asks_for() -> None:
    decoding = {**BASE, "merge_slashes": True}
    assert normalised("//a///b%2Fc", decoding) == "/a/b%2Fc"
    assert normalised("///", decoding) == "//"
    assert normalised("/a//?b=//", decoding) == "/a/?b=//"
    decoding["path_with_escaped_slashes_action"] = "UNESCAPE_AND_FORWARD"
    assert normalised("//a///b%2F%2fc%5C..", decoding) == "/a/b/"
    assert normalised("/a/../b", {"normalize_path": False}) == "/a/../b"


def test_who_says_the_scheme() -> None:
    request = request_of("http://a.example.com/", {"X-Forwarded-Proto": "https"})
    assert seen_by(request, {"use_remote_address": True}).scheme == "http"
    assert seen_by(request, {}).scheme == "https"


@pytest.mark.parametrize(
    ("host", "compared"),
    [
        ("A.example.com:8080", "a.example.com"),
        ("a.example.com:x", "a.example.com:x"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
    ],
)
def test_domains_are_compared_without_a_port(host: str, compared: str) -> None:
    request = request_of("http://a.test/", {"host": host})
    assert seen_by(request, BASE).host == compared
