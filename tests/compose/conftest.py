"""Fixtures of the tests that need a container engine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from compose_house import ComposeHouse, clean_clone, missing

TABLES = pytest.StashKey[list[str]]()
A_TEST_S = 800
"""Builds, starts and a dozen faults take longer than any other test."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give those that run containers the time that they need."""
    for each in items:
        if each.get_closest_marker("compose"):
            each.add_marker(pytest.mark.timeout(A_TEST_S))


@pytest.fixture(scope="session")
def engine() -> None:
    """Skip where no engine answers; where one is promised, fail."""
    if reason := missing():
        if os.environ.get("CI"):
            pytest.fail(f"no container engine: {reason}")
        pytest.skip(f"no container engine: {reason}")


@pytest.fixture(scope="session")
def clone(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean clone of what is committed."""
    return clean_clone(tmp_path_factory.mktemp("clone") / "parley")


@pytest.fixture
def show_table(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Show a table at the end of the whole run."""
    return request.config.stash.setdefault(TABLES, []).append


@pytest.fixture(scope="module")
def installation(clone: Path) -> Iterator[ComposeHouse]:
    """A running house as `docker compose up` makes it, nothing set but a free port."""
    house = ComposeHouse(clone)
    try:
        house.up()
        yield house
    finally:
        house.remove()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the tables."""
    for table in terminalreporter.config.stash.get(TABLES, []):
        terminalreporter.write_line(f"\n{table}")
