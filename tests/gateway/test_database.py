"""The database itself: settings, migrations, faults, and what a batch promises."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
from dataclasses import fields
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from broken_storage import damage
from container_postgres import ContainerPostgres
from gateway_store import Store
from next_revision import NEXT, with_next_revision
from parley_contracts.agents import CreateAgent
from parley_contracts.errors import Conflict, Internal, Invalid, NotFound, Unavailable
from parley_contracts.threads import CreateThread
from parley_gateway.defaults import ensure_agents
from parley_gateway.store import agents, threads
from parley_gateway.store import migrate as migrating
from parley_gateway.store.database import FILE_NAME, database_url
from parley_gateway.store.migrate import REVISION, migrate
from parley_gateway.store.records import ThreadRecord, TurnRecord
from parley_gateway.store.schema import metadata
from parley_gateway.store.schema import threads as thread_table
from parley_gateway.store.schema import turns as turn_table
from parley_gateway.store.sqlite import connect
from parley_gateway.store.transaction import Transaction
from sqlalchemy import URL, create_engine

TIMEOUTS = (
    socket.TCP_KEEPIDLE,
    socket.TCP_KEEPINTVL,
    socket.TCP_KEEPCNT,
    socket.TCP_USER_TIMEOUT,
)
SEARCH_TABLES = ("message_search",)


@pytest.fixture
async def file_store(file_url: URL) -> Store:
    """A store in a file, closed by the test itself."""
    store = Store(file_url)
    await ensure_agents(store.database.writer)
    return store


def test_the_database_is_a_file_in_the_data_folder_unless_set() -> None:
    assert database_url(Path("/d"), None).database == "/d/parley.db"
    assert database_url(Path("/d"), "sqlite:////x/y.db").database == "/x/y.db"
    url = database_url(Path("/d"), "postgresql://me:secret@host/db")
    assert url.drivername == "postgresql+psycopg"


@pytest.mark.parametrize("setting", ["mysql://host/db", "nonsense", "sqlite://"])
def test_a_database_that_is_none_of_ours_is_refused(setting: str) -> None:
    with pytest.raises(Invalid, match="DATABASE_URL"):
        database_url(Path("/d"), setting)


def test_the_migrations_make_exactly_the_tables_of_the_schema(url: URL) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        options = {"include_name": lambda name, kind, _: not str(name).startswith(SEARCH_TABLES)}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_records_have_the_columns_of_their_tables_in_order() -> None:
    thread_fields = [field.name for field in fields(ThreadRecord)]
    assert thread_fields == [*thread_table.columns.keys(), "queued"]
    assert [field.name for field in fields(TurnRecord)] == turn_table.columns.keys()


def test_a_blank_postgresql_database_gets_its_tables(postgres: ContainerPostgres) -> None:
    url = postgres.new_database()
    migrate(url)
    migrate(url)
    engine = create_engine(url)
    with engine.connect() as connection:
        assert migrating.revision_of(connection) == REVISION
    engine.dispose()


async def test_a_cut_network_to_postgresql_is_noticed_within_seconds(
    postgres: ContainerPostgres,
) -> None:
    store = Store(postgres.emptied())
    files = [await store.run(lambda tx: int(tx._cursor.connection.fileno()))]  # type: ignore[attr-defined]
    async with store.database.reading() as connection:
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        files.append(raw.driver_connection.fileno())
        for file in files:
            with socket.socket(fileno=os.dup(file)) as reached:
                asked = [reached.getsockopt(socket.IPPROTO_TCP, each) for each in TIMEOUTS]
            idle, between, count, unanswered_ms = asked
            assert idle + between * count <= 15
            assert 0 < unanswered_ms <= 15_000
    await store.database.close()


def test_the_owner_may_say_how_postgresql_is_reached() -> None:
    url = database_url(Path("/d"), "postgresql://host/db?connect_timeout=30")
    assert (url.query["connect_timeout"], url.query["keepalives_idle"]) == ("30", "5")


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    url = database_url(tmp_path, None)
    migrate(url)
    with sqlite3.connect(tmp_path / FILE_NAME) as file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Conflict, match="newer Parley"):
        migrate(url)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is no database" * 100)
    with pytest.raises(Unavailable, match="cannot be opened"):
        migrate(database_url(tmp_path, None))


HALF = (
    'op.execute("CREATE TABLE half_done (id TEXT)")',
    """op.execute("UPDATE threads SET title = 'spoilt'")""",
)


@pytest.mark.parametrize("failure", ['op.execute("this is no SQL")', 'raise KeyError("half-way")'])
async def test_a_migration_copies_the_file_first_and_a_failed_one_changes_nothing(
    file_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    await file_store.thread("t", title="kept")
    await file_store.database.close()
    before = _content(tmp_path / FILE_NAME)
    scripts = with_next_revision(tmp_path / "scripts", *HALF, failure)
    monkeypatch.setattr(migrating, "SCRIPTS", scripts)
    monkeypatch.setattr(migrating, "REVISION", NEXT)
    with pytest.raises(Internal, match=f"from revision {REVISION} to {NEXT}"):
        migrate(file_store.database.url)
    assert _content(tmp_path / FILE_NAME) == before
    for name in (FILE_NAME, f"{FILE_NAME}.before-{NEXT}"):
        with sqlite3.connect(tmp_path / name) as file:
            assert file.execute("SELECT title FROM threads").fetchall() == [("kept",)]
            tables = {row[0] for row in file.execute("SELECT name FROM sqlite_master")}
            assert "half_done" not in tables


def _content(path: Path) -> bytes:
    return path.read_bytes()


async def test_a_refused_command_takes_back_its_own_changes_only(store: Store) -> None:
    def spoil(tx: Transaction) -> None:
        threads.create(tx, CreateThread(id="spoilt"))
        raise NotFound("half-way")

    outcomes = await asyncio.gather(
        store.thread("before"), store.run(spoil), store.thread("after"), return_exceptions=True
    )
    assert isinstance(outcomes[1], NotFound)
    rows = await store.rows("SELECT id FROM threads ORDER BY id")
    assert rows == [("after",), ("before",), ("t",)]
    assert "spoilt" not in str(store.effects)


async def test_effects_are_known_before_the_caller_goes_on(store: Store) -> None:
    await store.thread("new")
    assert store.events() == ["thread_changed"]


async def test_rule_20_what_is_accepted_waits_for_the_disk(file_store: Store) -> None:
    def strength(tx: Transaction) -> int:
        tx._cursor.execute("PRAGMA synchronous")
        return int(tx._cursor.fetchone()[0])

    writer = file_store.database.writer
    full, normal = 2, 1
    assert await writer.run(strength) == full
    assert await writer.run_relaxed(strength) == normal
    together = await asyncio.gather(writer.run_relaxed(strength), writer.run(strength))
    assert together[1] == full
    await file_store.database.close()


async def test_a_locked_database_refuses_and_then_goes_on(
    file_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = file_store.database.writer

    def impatient(tx: Transaction) -> None:
        tx._cursor.execute("PRAGMA busy_timeout=0")

    await writer.run(impatient)
    path = str(file_store.database.url.database)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="holds Parley's database locked"):
        await file_store.thread("refused")
    trouble = writer.trouble
    assert trouble is not None
    other.execute("ROLLBACK")
    other.close()
    await file_store.thread("accepted")
    assert writer.trouble is None
    assert await file_store.rows("SELECT id FROM threads") == [("accepted",)]
    await file_store.database.close()


async def test_a_full_disk_refuses_and_then_goes_on(file_store: Store) -> None:
    def limit(tx: Transaction, pages: int) -> None:
        tx._cursor.execute(f"PRAGMA max_page_count={pages}")

    writer = file_store.database.writer
    await file_store.thread("t")
    await writer.run(limit, 1)
    with pytest.raises(Unavailable, match="disk that holds Parley's database is full"):
        for _ in range(1000):
            await file_store.send("x" * 50_000)
    stored = await file_store.count("messages")
    assert stored == await file_store.count("turns")
    await writer.run(limit, 2**30)
    await file_store.send("fits again")
    assert await file_store.count("messages") == stored + 1
    await file_store.database.close()


@pytest.mark.parametrize("page", ["turns", "threads"])
async def test_a_damaged_file_is_named_as_such(file_store: Store, page: str) -> None:
    await file_store.thread("t")
    url = file_store.database.url
    await file_store.database.close()
    damage(Path(str(url.database)), page)
    damaged = Store(url)
    with pytest.raises(Unavailable, match="damaged; stop Parley and restore a backup"):
        await damaged.send("hello")
    await damaged.run(agents.ensure_any, CreateAgent(handle="any", name="Any"))
    assert "damaged" in str(damaged.database.writer.trouble), "what still works heals nothing"
    await damaged.database.close()


def test_a_file_without_a_readable_page_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"\xff" * 10_000)
    with pytest.raises(Unavailable, match="damaged; stop Parley and restore a backup"):
        connect(tmp_path / FILE_NAME)


async def test_closing_finishes_what_waits(file_store: Store) -> None:
    creating = [asyncio.create_task(file_store.thread(f"n{number}")) for number in range(50)]
    await asyncio.sleep(0)
    await file_store.database.close()
    assert len(await asyncio.gather(*creating)) == 50
