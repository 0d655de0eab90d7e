"""The program curl, for lessons that are about its options. Where it is missing, labkit makes the
same request.
"""

from __future__ import annotations

import shutil
import subprocess

from labkit.errors import TrafficError
from labkit.traffic.curl import curl
from labkit.traffic.result import Response
from labkit.traffic.target import Target

KNOWN = ("--header", "--include", "--resolve")
"""What the stand-in understands; the program itself knows a few more."""


def real_curl(*options: str, timeout_s: float = 10) -> str:
    """What `curl OPTIONS` prints. Progress is off, and so are the proxies that this machine may
    have set.

    >>> print(real_curl("--header", "Host: test.example.com", "http://127.0.0.1:32801/"))
    Hello world! version v1, pod hello-world-v1-…, path /
    """
    program = shutil.which("curl")
    if program is None:
        return stand_in(*options, timeout_s=timeout_s)
    command = [
        program,
        "--silent",
        "--show-error",
        "--noproxy",
        "*",
        "--max-time",
        f"{timeout_s:g}",
        *options,
    ]
    # curl's own limit comes first, and says what it waited for
    done = subprocess.run(command, capture_output=True, timeout=timeout_s + 5, check=False)
    if done.returncode:
        raise TrafficError(
            f"curl ended with status {done.returncode}",
            seen=done.stderr.decode("utf-8", "replace").strip(),
            try_next="mesh.gateway_url is the address to call; curl --verbose shows each step",
        )
    return done.stdout.decode("utf-8", "replace")


def stand_in(*options: str, timeout_s: float = 10) -> str:
    """The same for a machine without curl, for the options that the lessons use."""
    addresses: dict[tuple[str, int], str] = {}
    headers: dict[str, str] = {}
    urls: list[str] = []
    words = iter(options)
    for word in words:
        if word == "--resolve":
            name, port, address = _value(word, next(words, "")).split(":", 2)
            addresses[name, int(port)] = address.strip("[]")
        elif word == "--header":
            name, _, value = _value(word, next(words, "")).partition(":")
            headers[name.strip().lower()] = value.strip()
        elif word.startswith("-") and word not in KNOWN:
            raise TrafficError(
                f"Without the program curl, labkit does not know its option {word}",
                seen=f"it knows {', '.join(KNOWN)}",
                try_next="install curl",
            )
        elif word not in KNOWN:
            urls.append(word)
    if len(urls) != 1:
        raise TrafficError("curl wants one address here", seen=f"{len(urls)} were given")
    named, path = Target.of(urls[0])
    host = addresses.get((named.host, named.port), named.host)
    result = curl(
        Target(host, named.port, named.authority), path, headers=headers, timeout_s=timeout_s
    )
    return (_head(result[0]) if "--include" in options else "") + result.text


def _value(option: str, value: str) -> str:
    parts = 3 if option == "--resolve" else 2
    if value.count(":") < parts - 1:
        example = "NAME:PORT:ADDRESS" if option == "--resolve" else '"NAME: VALUE"'
        raise TrafficError(f"curl's {option} wants {example}", seen=value or "nothing")
    return value


def _head(response: Response) -> str:
    lines = [
        f"HTTP/1.1 {response.status}",
        *(f"{name}: {value}" for name, value in response.headers.items()),
    ]
    return "\n".join(lines) + "\n\n"
