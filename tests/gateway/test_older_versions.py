"""What every version since the first one wrote is read by this one, and goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from container_postgres import ContainerPostgres
from gateway_contents import read_back
from gateway_store import Store
from parley_contracts.threads import ListThreads
from parley_gateway.access import access_token
from parley_gateway.store import listing
from parley_gateway.store.database import database_url
from parley_gateway.store.index import index_some
from parley_gateway.store.load import Backup
from parley_gateway.store.migrate import migrate
from parley_gateway.store.replace import replace_database
from sqlalchemy import URL

FIXTURES = Path(__file__).parent / "fixtures"
VERSIONS = sorted(each.parent.name for each in FIXTURES.glob("*/expected.json"))


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> Path:
    """The fixture of a version."""
    return FIXTURES / str(request.param)


@pytest.fixture(params=["folder", "backup into sqlite", "backup into postgresql"])
def url(request: pytest.FixtureRequest, version: Path, tmp_path: Path) -> URL:
    """A database with what that version wrote, in each way that it can get there."""
    if request.param == "folder":
        shutil.copytree(version / "house", tmp_path / "house")
        found = database_url(tmp_path / "house", None)
        migrate(found)
    else:
        found = database_url(tmp_path, None)
        if request.param.endswith("postgresql"):
            server: ContainerPostgres = request.getfixturevalue("postgres")
            found = server.new_database()
        with (version / "parley.backup").open("rb") as file:
            replace_database(found, Backup(file))
    return found


def test_there_is_a_fixture() -> None:
    assert "0.1.0" in VERSIONS


async def test_everything_is_read_and_goes_on(url: URL, version: Path) -> None:
    expected = json.loads((version / "expected.json").read_text())
    store = Store(url, start=expected["moment"])
    assert_holds(expected["seen"], await read_back(store, expected["secret"]))
    while await store.run(index_some):
        pass
    found = await store.query(listing.list_threads, ListThreads(q='"seven times six"'))
    assert [thread.id for thread in found.threads] == ["edited"]
    store.clock.advance(20)
    [(running,)] = await store.rows("SELECT open_turn FROM threads WHERE id = 'lived'")
    await store.answer(running, "went on")
    [queued] = (await store.view("lived")).queued
    await store.answer(queued.turn_id, "last")
    assert (await store.texts("lived"))[-3:] == ["went on", "and then?", "last"]
    await store.exchange("new", "answer", "grandchild")
    await store.database.close()


def test_the_access_token_stays(version: Path, tmp_path: Path) -> None:
    shutil.copytree(version / "house", tmp_path / "house")
    assert access_token(tmp_path / "house", None) == "the-token-of-this-fixture"


def assert_holds(expected: Any, found: Any, place: str = "") -> None:
    """Assert that all of it is there; a later version may add fields."""
    if isinstance(expected, dict):
        for name, value in expected.items():
            assert_holds(value, found[name], f"{place}.{name}")
    elif isinstance(expected, list):
        assert len(expected) == len(found), place
        for number, value in enumerate(expected):
            assert_holds(value, found[number], f"{place}[{number}]")
    else:
        assert found == expected, place
