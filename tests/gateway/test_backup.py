"""Backups: one moment, whoever writes; the same in either database; whole or not at all."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from broken_storage import small_disk
from container_postgres import ContainerPostgres
from gateway_contents import fill, read_back, rows_of
from gateway_store import Store
from next_revision import NEXT, with_next_revision
from parley_contracts.errors import Conflict, Invalid, NotFound, Unavailable
from parley_contracts.threads import ListThreads
from parley_gateway.defaults import ensure_agents
from parley_gateway.store import listing
from parley_gateway.store import load as loading
from parley_gateway.store import migrate as migrating
from parley_gateway.store.database import FILE_NAME, database_url, require_database
from parley_gateway.store.dump import dump, snapshot
from parley_gateway.store.index import index_some
from parley_gateway.store.load import Backup
from parley_gateway.store.replace import replace_database
from sqlalchemy import URL


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """The URL of a database that is not there yet, or is empty."""
    if request.param == "sqlite":
        (tmp_path / "target").mkdir()
        return database_url(tmp_path / "target", None)
    server: ContainerPostgres = request.getfixturevalue("postgres")
    return server.new_database()


def backup_of(url: URL) -> bytes:
    file = io.BytesIO()
    with snapshot(url) as connection:
        dump(connection, file)
    return file.getvalue()


def restore(url: URL, content: bytes) -> Path | None:
    return replace_database(url, Backup(io.BytesIO(content)))


async def test_every_row_comes_back_in_either_database(store: Store, target: URL) -> None:
    secret = await fill(store)
    seen, rows = await read_back(store, secret), rows_of(store.database.url)
    restore(target, backup_of(store.database.url))
    assert rows_of(target) == rows
    restored = Store(target)
    assert await read_back(restored, secret) == seen
    await restored.database.close()


async def test_a_restored_house_goes_on(store: Store, target: URL) -> None:
    await fill(store)
    restore(target, backup_of(store.database.url))
    restored = Store(target)
    [(running,)] = await restored.rows("SELECT open_turn FROM threads WHERE id = 'lived'")
    restored.clock.advance(20)
    await restored.answer(running, "went on")
    [queued] = (await restored.view("lived")).queued
    await restored.answer(queued.turn_id, "last")
    await restored.exchange("new", "answer", "fork")
    while await restored.run(index_some):
        pass
    found = await restored.query(listing.list_threads, ListThreads(q='"six times seven"'))
    assert {thread.id for thread in found.threads} == {"lived", "fork", "grandchild"}
    await restored.database.close()


MOODS = (
    'op.add_column("threads", sa.Column("mood", sa.Text, nullable=False, server_default="calm"))',
    """op.execute("UPDATE threads SET mood = 'glad' WHERE id = 'fork'")""",
)


async def test_an_older_backup_is_brought_up_to_date(
    store: Store, target: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(store)
    content = backup_of(store.database.url)
    scripts = with_next_revision(tmp_path / "scripts", *MOODS)
    monkeypatch.setattr(migrating, "SCRIPTS", scripts)
    monkeypatch.setattr(loading, "REVISION", NEXT)
    restore(target, content)
    restored = Store(target)
    moods = dict(await restored.rows("SELECT id, mood FROM threads"))
    assert (moods["fork"], moods["lived"]) == ("glad", "calm")
    assert await restored.rows("SELECT version_num FROM alembic_version") == [(NEXT,)]
    await restored.database.close()


async def test_a_backup_shows_one_moment_while_others_write(store: Store, target: URL) -> None:
    for number in range(50):
        await store.exchange(f"before {number}")
    content = io.BytesIO()
    with snapshot(store.database.url) as connection:
        for number in range(5):
            await store.exchange(f"during {number}")
        await asyncio.to_thread(dump, connection, content)
    await store.exchange("after")
    restore(target, content.getvalue())
    restored = Store(target)
    texts = await restored.texts()
    assert texts == [each for n in range(50) for each in (f"before {n}", "answer")]
    await restored.database.close()


async def test_what_was_there_before_is_kept_and_named(store: Store, tmp_path: Path) -> None:
    await store.exchange("from the backup")
    url = database_url(tmp_path / "there", None)
    (tmp_path / "there").mkdir()
    content = backup_of(store.database.url)
    for number in range(1, 3):
        migrating.migrate(url)
        with closing(sqlite3.connect(str(url.database))) as file:
            file.execute("PRAGMA journal_mode=WAL")
            file.execute(f"CREATE TABLE mine_{number} (id TEXT)")
        kept = restore(url, content)
        assert kept == tmp_path / "there" / f"{FILE_NAME}.before-restore-{number}"
        with closing(sqlite3.connect(kept)) as file:
            assert file.execute(f"SELECT count(*) FROM mine_{number}").fetchone() == (0,)
        assert rows_of(url) == rows_of(store.database.url)
    assert {each.name for each in (tmp_path / "there").iterdir()} == {
        FILE_NAME,
        f"{FILE_NAME}.before-restore-1",
        f"{FILE_NAME}.before-restore-2",
    }


def test_a_damaged_database_gives_way_to_a_backup(file_url: URL) -> None:
    content = backup_of(file_url)
    path = Path(str(file_url.database))
    path.write_bytes(b"\xff" * 20_000)
    kept = restore(file_url, content)
    assert kept is not None
    assert kept.read_bytes() == b"\xff" * 20_000
    assert rows_of(file_url)["threads"] == []


async def test_a_disk_without_room_for_a_backup_keeps_what_it_has(
    file_url: URL, tmp_path: Path
) -> None:
    store = Store(file_url)
    await ensure_agents(store.database.writer)
    await fill(store)
    content = backup_of(file_url)
    await store.database.close()
    with small_disk(tmp_path / "disk", "1m") as disk:
        url = database_url(disk.path, None)
        restore(url, content)
        disk.fill()
        before = _state(url)
        with pytest.raises(Unavailable, match="disk that holds Parley's database is full"):
            restore(url, content)
        assert _state(url) == before
        disk.make_room()
        assert rows_of(url) == rows_of(file_url)


def spoilt(content: bytes) -> dict[str, bytes]:
    """Return the backup as it may come back from a bad disk or a broken transfer."""
    lines = gzip.decompress(content).splitlines(keepends=True)
    manifest = json.loads(lines[0])
    row = next(each for each in reversed(lines) if each.startswith(b"["))
    return {
        "nothing": b"",
        "another file": b"PK\x03\x04 something else",
        "another gzip": gzip.compress(b'{"format": "something else"}\n'),
        "cut off": content[: len(content) // 2],
        "cut at a line": gzip.compress(b"".join(lines[: len(lines) // 2])),
        "a row is missing": gzip.compress(b"".join(each for each in lines if each != row)),
        "a thread is missing": gzip.compress(
            b"".join(each for each in lines if not each.startswith(b'["t",'))
        ),
        "turned bits": content[:200]
        + bytes(255 - each for each in content[200:210])
        + content[210:],
        "a newer version": gzip.compress(json.dumps({**manifest, "revision": "9999"}).encode()),
        "a newer format": gzip.compress(json.dumps({**manifest, "version": 99}).encode()),
    }


async def test_a_backup_that_cannot_be_used_is_named_and_changes_nothing(
    store: Store, target: URL
) -> None:
    await store.exchange("kept")
    content = backup_of(store.database.url)
    if target.get_backend_name() == "sqlite":
        restore(target, backup_of(store.database.url))
    before = _state(target)
    for name, each in spoilt(content).items():
        with pytest.raises((Invalid, Conflict)) as refused:
            restore(target, each)
        assert refused.value.detail.endswith("."), name
        assert ("newer Parley" in refused.value.detail) == ("newer" in name), refused.value.detail
        assert _state(target) == before, name


def _state(url: URL) -> object:
    """Return what lies in a data folder, or which tables a server's database has."""
    if url.get_backend_name() == "sqlite":
        folder = Path(str(url.database)).parent
        return {each.name: each.read_bytes() for each in folder.iterdir()}
    with migrating.opened(url) as connection:
        return connection.dialect.get_table_names(connection)


async def test_a_servers_database_must_be_empty(store: Store, postgres: ContainerPostgres) -> None:
    taken = postgres.new_database()
    content = backup_of(store.database.url)
    restore(taken, content)
    with pytest.raises(Conflict, match="holds tables already"):
        restore(taken, content)
    assert rows_of(taken) == rows_of(store.database.url)


def test_only_a_database_of_this_revision_is_backed_up(tmp_path: Path) -> None:
    url = database_url(tmp_path, None)
    with pytest.raises(NotFound, match="There is no database"):
        require_database(url)
    migrating.migrate(url)
    for found, words in (("0000", "start Parley once"), ("9999", "newer Parley")):
        with sqlite3.connect(tmp_path / FILE_NAME) as file:
            file.execute("UPDATE alembic_version SET version_num = ?", (found,))
        with pytest.raises(Conflict, match=words):
            backup_of(url)
    (tmp_path / FILE_NAME).write_bytes(b"no database" * 1000)
    with pytest.raises(Unavailable, match="damaged"):
        backup_of(url)
