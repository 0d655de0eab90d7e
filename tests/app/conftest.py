from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.app.app_process import App, start


@pytest.fixture
def start_app() -> Iterator[Callable[..., App]]:
    started: list[App] = []

    def begin(**env: str) -> App:
        started.append(start(**env))
        return started[-1]

    yield begin
    for app in started:
        app.process.kill()
        app.process.wait(10)
        assert app.process.stdout is not None
        app.process.stdout.close()


@pytest.fixture
def app(start_app: Callable[..., App]) -> App:
    return start_app(VERSION="v2")
