from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.resources.istio import MOST_REGEX_INSTRUCTIONS
from labkit.resources.lint import Diagnoses, lint
from labkit.resources.regex.parser import problem
from labkit.resources.regex.size import program_size

# What Go 1.26 says of expressions; the test at the end asks it again, of many more.
GOOD = [
    *(
        "",
        "/v[12]/.*",
        "a|b|",
        "()*",
        "^*",
        "(?i)x",
        "(?i-s:x)",
        "(?P<n>a)(?<m>b)",
        "(?<n>a)(?<n>b)",
        "a*?",
        "a{2}?",
        "{",
        "a{,2}",
        "a{02}",
    ),
    *(
        r"\Q**\E",
        r"\Qa",
        r"\pL\P{^Lu}\p{Greek}",
        "[[:alpha:][:^digit:]]",
        "[]a]",
        "[^]a]",
        "[a-]",
        "[-a]",
        r"[\d-z]",
    ),
    *(
        r"\x41\x{1F600}\012\0",
        r"\A\b\B\z",
        r"[\n\.\]]",
        "a{1000}",
        "(a{10}){100}",
        r"\_",
        "[[:]",
        "é",
        "a{0}{",
    ),
]
BAD = [
    *(
        "[a",
        "(",
        ")",
        "*",
        "|*",
        "(*a)",
        "a**",
        "a*+",
        "a{2}{3}",
        "a{1001}",
        "a{5,2}",
        "(a{100}){100}",
        "(?=a)",
        "(?!a)",
    ),
    *(
        "(?<=a)",
        "(?P<n",
        "(?P<>a)",
        "(?P<a b>c)",
        "(?-)",
        "(?z)",
        r"\1",
        r"\Z",
        r"\C",
        "\\",
        r"\xg",
    ),
    *(
        r"\x{110000}",
        r"\p{Foo}",
        r"\pq",
        r"\p{",
        "[z-a]",
        "[[:foo:]]",
        r"[a-\d]",
        r"\é",
        "[",
        "[^",
        "[]",
        r"[\C]",
    ),
]


@pytest.mark.parametrize("text", GOOD)
def test_good_expressions(text: str) -> None:
    assert problem(text) == ""


@pytest.mark.parametrize("text", BAD)
def test_bad_expressions_say_what_is_wrong(text: str) -> None:
    assert problem(text)


@given(st.text(alphabet="ab()[]{}*+?|^$\\-:<>=!PpQELdxz0129,.i", max_size=1024))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_no_text_breaks_the_parser(text: str) -> None:
    problem(text)
    problem("(" * 500 + text)


PROGRAM = """
package main

import ("bufio"; "encoding/json"; "fmt"; "os"; "regexp")

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<20)
	for lines.Scan() {
		var text string
		json.Unmarshal(lines.Bytes(), &text)
		_, err := regexp.Compile(text)
		fmt.Println(err == nil)
	}
}
"""
PARTS = (
    r"a b z A 0 9 - ] [ [^ ( (?: (?P<n> (?<m> (?i) (?i-s: (?= (?! (?<= ) ) ) | * + ? {2} {2,} "
    r"{2,5} {1001} {600} "
    r"{5,2} { } , \d \w \pL \p{Greek} \p{Foo} \P{^Lu} \Q \E \x41 \x{1F600} \x{110000} \xg \1 \12 "
    r"\0 \b \z \Z \A \C "
    r"\ \. \_ [:alpha:] [:^digit:] [:foo:] . ^ $ é / {02} {0} (?) (?-) (?--i) \p \é \n "
    r"[[:word:]] \p{} \p{lc} "
    r"\p{old_italic} (a) (?<m>b) [ab]"
)


@pytest.mark.go
@pytest.mark.skipif(shutil.which("go") is None, reason="needs Go")
def test_gos_own_package_agrees(tmp_path: Path) -> None:
    import random

    source = tmp_path / "main.go"
    source.write_text(PROGRAM)
    draw = random.Random()
    texts = (
        ["".join(draw.choices(PARTS.split(), k=draw.randint(1, 7))) for _ in range(20_000)]
        + GOOD
        + BAD
    )
    run = subprocess.run(
        ["go", "run", str(source)],
        input="\n".join(json.dumps(text) for text in texts),
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    answers = [line == "true" for line in run.stdout.splitlines()]
    differences = [
        text for text, answer in zip(texts, answers, strict=True) if (problem(text) == "") != answer
    ]
    assert differences == []


SIZES = {
    "": 4,
    "/api/.*": 17,
    "[^/]{1000}": 8004,
    "[^a]{1000}" * 4: 32004,
    "/" + "[^a]{1000}" * 20: 160005,
    ".{1000}" * 5: 40004,
    r"[\pL0-9]{30}": 35914,
    r"\pL{27}": 32296,
    r"\pL{28}": 33492,
    r"[^\pL]{27}": 32350,
    r"\PL{27}": 32350,
    "(?i)[a-z]{1000}": 6004,
    "(?:[^/]{1,64}/){15}": 8644,
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){3}": 754,
    r"\S{1000}" * 3: 30004,
    r"([^/]{1,64}){10}": 5774,
    "日本{100}": 307,
    r"[\x{100}-\x{2000}]{100}": 904,
    "(?:[^/?#]+/){200}": 2404,
    r"[\w.-]{1,253}": 1268,
    r"(\d{1,3}\.){3}\d{1,3}": 33,
    r"\Q[a]\E{100}x*?": 107,
}
"""What google-re2 1.1 says of `RE2::ProgramSize`."""


def test_the_size_of_a_program_is_known_to_some_per_cent() -> None:
    for text, size in SIZES.items():
        assert program_size(text) == pytest.approx(size, rel=0.02, abs=4), text
        assert (program_size(text) > MOST_REGEX_INSTRUCTIONS) == (size > MOST_REGEX_INSTRUCTIONS)


@pytest.mark.parametrize(
    ("route", "path"),
    [
        ({"match": [{"uri": {"regex": "X"}}]}, "match[0].uri.regex"),
        ({"match": [{"headers": {"a.b": {"regex": "X"}}}]}, "match[0].headers[a.b].regex"),
        (
            {"rewrite": {"uriRegexRewrite": {"match": "X", "rewrite": "/"}}},
            "rewrite.uriRegexRewrite.match",
        ),
        ({"corsPolicy": {"allowOrigins": [{"regex": "X"}]}}, "corsPolicy.allowOrigins[0].regex"),
    ],
)
def test_an_expression_that_is_too_large_is_found(route: dict[str, Any], path: str) -> None:
    def linted(text: str) -> Diagnoses:
        body = json.loads(json.dumps(route).replace("X", text))
        body.setdefault("route", [{"destination": {"host": "a"}}])
        return lint(
            {
                "apiVersion": "networking.istio.io/v1",
                "kind": "VirtualService",
                "metadata": {"name": "a", "namespace": "b"},
                "spec": {"hosts": ["a"], "http": [body]},
            }
        )

    (found,) = linted("[^a]{1000}" * 5)
    assert (found.code, found.path) == ("LAB12", f"spec.http[0].{path}")
    assert "40,004 instructions" in found.what
    assert linted("[^a]{1000}" * 4).codes == ()
