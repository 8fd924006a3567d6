"""What all suites share: a real broker, and a whole house."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from broker import Broker
from house import House
from hypothesis import settings
from scaled import ScaledParley

# Testcontainers: ports are published on this machine, and no second image is needed to clean up.
os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")

# The same examples in every run; how long one takes is the machine's affair.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.load_profile("suite")

# Shells start background jobs deaf to Ctrl-C, and the commands under test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A running nats-server of this test alone."""
    server = Broker(tmp_path / "nats")
    server.start()
    yield server
    server.kill()


SCALE_SUITES = ("web", "e2e")
"""Folders of tests that know the house by its address and token alone: any house will do."""

LOOKS_INSIDE = (
    "test_rule_25_a_client_that_stops_reading_is_told_to_read_anew",
    "test_the_catalogue_shows_what_the_workers_offer",
)
"""But for these, which need its data folder or know how many workers there are."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the house be a scaled one."""
    parser.addoption("--scale", action="store_true", help="the house is three servers of each")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --scale, mark what is to run on the scaled house."""
    for item in items if config.getoption("--scale") else ():
        known = item.path.parent.name in SCALE_SUITES and item.name not in LOOKS_INSIDE
        if known and "house" in getattr(item, "fixturenames", ()):
            item.add_marker("scale")


@pytest.fixture(scope="session")
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House | ScaledParley]:
    """One running Parley for the whole session; tests keep to threads of their own."""
    if request.config.getoption("--scale"):
        request.getfixturevalue("postgres_engine")
        running: House | ScaledParley = ScaledParley(tmp_path_factory.mktemp("scaled"))
    else:
        running = House(tmp_path_factory.mktemp("house") / "data").start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def postgres_engine() -> None:
    """Skip where no engine can run PostgreSQL; in CI it has to."""
    try:
        docker.from_env().ping()
    except docker.errors.DockerException as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no container engine answers: {error}")


@pytest.fixture
def make_house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Make houses that are not started yet: options of `up`, and variables by keyword."""
    made: list[House] = []

    def make(*options: str, data: Path | None = None, **environment: str) -> House:
        made.append(House(data or tmp_path / "data", *options, **environment))
        return made[-1]

    yield make
    for each in made:
        each.kill()
