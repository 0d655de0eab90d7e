"""What more than one suite needs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import settings

# how long an example takes is the machine's matter, and not what is tested
settings.register_profile("labkit", deadline=None)
settings.load_profile("labkit")


TESTS = Path(__file__).resolve().parent
ASKED_FOR = ("browser", "cluster", "minikube")
"""Suites, each in a folder named like its marker, that run only where -m names them."""

# What starts programs of its own, or tries thousands of inputs: `make quick` leaves it to
# `make test`.
SLOW = (
    "tests/app/",
    "tests/cli/test_doctor.py",
    "tests/generated/",
    "tests/notebooks/test_mutations.py",
    "tests/setup/",
    "tests/tools/test_docs.py",
    "tests/trust/",
)

# The shop of lesson 12 has so many Envoys that two of them at once may use up the 128 instances of
# inotify that Linux gives a user.
SHOP = ("test_capstone.py", "12_capstone]", "of_a_new_run[part2]", "many_meshes")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where all tests are asked for, whole suites that -m leaves out are not even imported, which
    each worker would do.
    """
    if [Path(arg).resolve() for arg in config.args] != [TESTS]:
        return None
    name = f"tests/{collection_path.relative_to(TESTS).as_posix()}"
    left_out = [f"tests/{mark}/" for mark in ASKED_FOR if f"not {mark}" in config.option.markexpr]
    left_out += SLOW if "not slow" in config.option.markexpr else ()
    return (name if name.endswith(".py") else f"{name}/") in left_out or None


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Shares tests out between workers (`-n 3 --dist loadgroup`): a module stays with one worker,
    which then pays once for its mesh. Runs of lessons, and the numbered parts of long tests, may
    each go to another.
    """
    groups, ranks = {}, {}
    for item in items:
        group = groups[item] = group_of(item)
        item.add_marker(pytest.mark.xdist_group(group))
        if item.nodeid.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
        ranks[group] = min(rank_of(item, group), ranks.get(group, 2))
    if hasattr(config, "workerinput"):
        # The longest first (make test asks xdist to keep this order): at the end no worker is left
        # alone with a lesson, and two more that wait behind it, while the others are done.
        items.sort(key=lambda item: ranks[groups[item]])


class Groups:
    """Of the process that shares the tests out."""

    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Where the groups get lost, each worker opens each module's mesh: that is to be seen."""
        if ids and not any("@" in one.rpartition("]")[2] for one in ids):
            raise pytest.UsageError("this pytest-xdist cannot tell this pytest's tests by group")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("dist", "no") == "loadgroup":
        config.pluginmanager.register(Groups())


def group_of(item: pytest.Item) -> str:
    """What goes to one worker, as a whole."""
    if "real_fortio" in getattr(item, "fixturenames", ()):
        return "real fortio"  # so that it is built once
    if any(word in item.nodeid for word in SHOP):
        return "shop"
    if item.get_closest_marker("notebook") or "[part" in item.nodeid:
        return item.nodeid
    return item.nodeid.partition("::")[0]


def rank_of(item: pytest.Item, group: str) -> int:
    """0 for what takes longest, 2 for what takes no time."""
    if item.get_closest_marker("notebook") or group in ("shop", "real fortio"):
        return 0
    return 1 if item.get_closest_marker("embedded") else 2


@pytest.fixture(scope="session")
def real_fortio(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The real Fortio, built from its published source; the test is skipped
    where there is no Go.
    """
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go to build Fortio with")
    folder = Path(tmp_path_factory.mktemp("fortio"))
    done = subprocess.run(
        [go, "install", "fortio.org/fortio@v1.68.0"],
        env={**os.environ, "GOBIN": str(folder)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"Fortio could not be built: {done.stderr[-300:]}")
    return str(folder / "fortio")
