from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import ParseError
from labkit.resources.yaml.document import documents
from labkit.resources.yaml.scalars import resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("y", True),
        ("Off", False),
        ("tRue", "tRue"),
        ("0777", 511),
        ("0o777", 511),
        ("08", 8),
        ("0x10", 16),
        ("-0x10", -16),
        ("0b11", 3),
        ("+5", 5),
        ("1_000", 1000),
        ("1e3", 1000),
        ("2.0", 2),
        (".5", 0.5),
        ("-.5", -0.5),
        ("1e400", "1e400"),
        ("1:30", "1:30"),
        ("2001-01-01", "2001-01-01"),
        ("12345678901234567890", 12345678901234567890),
        ("~", None),
        ("", None),
        ("=", "="),
        ("5m", "5m"),
        ("-", "-"),
    ],
)
def test_plain_scalars_are_what_kubectl_makes_of_them(text: str, value: object) -> None:
    """Recorded with `kubectl label --local -o json`."""
    found = resolve(text)
    assert found == value
    assert type(found) is type(value)


def test_keys_become_text() -> None:
    (document,) = documents("1: a\ntrue: b\n2.5: c\nno: d\n", "f")
    assert document.value == {"1": "a", "true": "b", "2.5": "c", "false": "d"}


def test_merge_keys_tags_and_quotes() -> None:
    text = (
        'a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: !!str 5\nd: "yes"\ne: !!int "7"\nf: '
        "!!binary aGVsbG8=\ng: !own 5\n"
    )
    (document,) = documents(text, "f")
    assert document.value == {
        "a": {"x": 1, "true": 2},
        "b": {"x": 1, "true": 3},
        "c": "5",
        "d": "yes",
        "e": 7,
        "f": "hello",
        "g": "5",
    }


@pytest.mark.parametrize(
    "text", ["a: .inf\n", "a: .NaN\n", "null: 1\n", "? [a]\n: 1\n", "a: *nope\n"]
)
def test_what_has_no_json_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        list(documents(text, "f"))


def test_documents_lines_and_comments() -> None:
    text = "# about a\n---\na: 1\n---\n# nothing\n---\nb:\n  c: 2\n...\n# end\n"
    first, second = documents(text, "f")
    assert (first.line, first.text, first.lines[("a",)]) == (1, "# about a\n---\na: 1\n", 3)
    assert (second.lines[("b",)], second.lines[("b", "c")]) == (7, 8)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abcxyz", min_size=2, max_size=4), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text("abcxyz", min_size=2, max_size=4), plain, min_size=1, max_size=3))
def test_quoted_yaml_reads_back_as_it_was(value: dict[str, object]) -> None:
    text = yaml.safe_dump(value, default_style='"', allow_unicode=True)
    if "\n---" not in text and "\n..." not in text:
        (document,) = documents(text, "f")
        assert document.value == value
