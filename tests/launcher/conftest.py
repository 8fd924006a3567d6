"""A house whose services may be killed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from house import House


@pytest.fixture(scope="session")
def mortal_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One running Parley for all tests that kill a service and see it come back."""
    running = House(tmp_path_factory.mktemp("mortal") / "data").start()
    yield running
    running.stop()
