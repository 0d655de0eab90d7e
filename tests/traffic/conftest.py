"""Pods and Envoys for the tests of traffic: made once a module, and put back before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.traffic.harness import Pod, Proxy, run_envoy, run_pod


@pytest.fixture(scope="module")
def pods() -> Iterator[list[Pod]]:
    with run_pod("pod-1", "v1") as one, run_pod("pod-2", "v2") as two:
        yield [one, two]


@pytest.fixture
def pod(pods: list[Pod]) -> Iterator[Pod]:
    """The first pod, alone, as new."""
    for one in pods:
        one.control("reset")
    yield pods[0]
    for one in pods:
        one.control("reset")


@pytest.fixture(scope="module")
def shared_proxy(pods: list[Pod]) -> Iterator[Proxy]:
    with run_envoy(pods) as proxy:
        yield proxy


@pytest.fixture
def proxy(pod: Pod, shared_proxy: Proxy) -> Proxy:
    """An Envoy in front of both pods, which are as new."""
    return shared_proxy
