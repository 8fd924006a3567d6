"""The gateway as a process: how it starts, what it says when it cannot, how it ends."""

from __future__ import annotations

import asyncio
import gzip
import os
import sqlite3
import stat
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from broker import Broker
from container_postgres import ContainerPostgres
from eventually import eventually
from next_revision import NEXT, with_next_revision
from parley_bus import Bus
from parley_contracts import operations as op
from parley_contracts.base import Empty
from parley_contracts.errors import Unavailable
from parley_contracts.messages import SendMessage
from parley_contracts.threads import CreateThread, ReadThread
from parley_gateway.store import migrate as migrating
from parley_gateway.store.database import FILE_NAME, database_url
from patient_bus import PatientBus

FIXTURE = Path(__file__).parent / "fixtures" / "0.1.0"
Start = Callable[..., Awaitable[Process]]


@pytest.fixture
async def start(broker: Broker, tmp_path: Path) -> AsyncIterator[Start]:
    """Start gateways over one data folder; what still runs afterwards is killed."""
    started: list[Process] = []

    async def start_gateway(**environment: str) -> Process:
        settings = {
            "PARLEY_DATA": str(tmp_path / "data"),
            "PARLEY_NATS_CONTEXT": str(broker.context_file("gateway")),
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "parley_gateway"),
            env={**os.environ, **settings, **environment},
            stderr=PIPE,
        )
        started.append(process)
        return process

    yield start_gateway
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
async def owner(broker: Broker) -> AsyncIterator[Bus]:
    bus = await PatientBus.connect(broker.context("owner"), name="owner")
    yield bus
    await bus.close()


async def serving(owner: Bus) -> None:
    """Return when a gateway answers."""

    async def answers() -> bool:
        try:
            await owner.request(op.SYSTEM_STATUS, Empty(), timeout=5)
        except Unavailable:
            return False
        return True

    await eventually(answers)


async def last_words(process: Process) -> str:
    """Return the line with which a process leaves that cannot start."""
    _, said = await process.communicate()
    assert process.returncode == 1
    lines = said.decode().splitlines()
    assert "Traceback" not in said.decode()
    return lines[-1]


async def test_it_serves_keeps_secrets_and_ends_in_order(
    start: Start, owner: Bus, tmp_path: Path
) -> None:
    process = await start()
    await serving(owner)
    data = tmp_path / "data"
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    for file in data.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    process.terminate()
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()


async def test_what_it_accepted_is_there_after_a_kill(start: Start, owner: Bus) -> None:
    process = await start()
    await serving(owner)
    await owner.request(op.THREADS_CREATE, CreateThread(id="t"))
    for number in range(20):
        await owner.request(op.MESSAGES_SEND, SendMessage(thread_id="t", text=f"q{number}"))
    process.kill()
    await process.wait()
    await start()
    await serving(owner)
    view = await owner.request(op.THREADS_GET, ReadThread(id="t"))
    assert [message.text for message in view.queued] == [f"q{number}" for number in range(20)]


async def test_rule_19_a_second_gateway_is_refused_in_one_sentence(
    start: Start, owner: Bus
) -> None:
    await start()
    await serving(owner)
    assert "Another Parley uses the data folder" in await last_words(await start())


async def test_nothing_is_restored_under_a_running_gateway(
    start: Start, owner: Bus, tmp_path: Path
) -> None:
    await start()
    await serving(owner)
    await owner.request(op.THREADS_CREATE, CreateThread(id="t"))
    taken = await command("backup", tmp_path / "data")
    assert taken.returncode == 0, taken.stderr
    refused = await command("restore", tmp_path / "data", taken.stdout)
    assert refused.returncode == 1
    assert "Another Parley uses the data folder" in refused.stderr.decode()
    restored = await command("restore", tmp_path / "other", taken.stdout)
    assert restored.returncode == 0, restored.stderr
    again = await command("backup", tmp_path / "other")
    assert lines(again.stdout)[1:] == lines(taken.stdout)[1:]


async def test_a_backup_goes_into_postgresql_and_out_of_it(
    postgres: ContainerPostgres, tmp_path: Path
) -> None:
    server = postgres.new_database().render_as_string(hide_password=False)
    older = content(FIXTURE / "parley.backup")
    assert (await command("restore", tmp_path, older)).returncode == 0
    given = (await command("backup", tmp_path)).stdout
    restored = await command("restore", tmp_path, given, DATABASE_URL=server)
    assert restored.returncode == 0, restored.stderr
    taken = await command("backup", tmp_path, DATABASE_URL=server)
    assert taken.returncode == 0, taken.stderr
    assert sorted(lines(taken.stdout)[1:]) == sorted(lines(given)[1:])
    refused = await command("restore", tmp_path, given, DATABASE_URL=server)
    assert refused.returncode == 1
    assert "holds tables already" in refused.stderr.decode()


async def command(
    name: str, data: Path, given: bytes = b"", **settings: str
) -> subprocess.CompletedProcess[bytes]:
    """Run one of the gateway's own commands."""
    own = {"PARLEY_DATA": str(data), "PARLEY_NATS_CONTEXT": "unused", **settings}
    environment = {**os.environ, **own}
    return await asyncio.to_thread(
        subprocess.run,
        (sys.executable, "-m", f"parley_gateway.{name}"),
        env=environment,
        input=given,
        capture_output=True,
    )


def lines(backup: bytes) -> list[bytes]:
    return gzip.decompress(backup).splitlines()


async def test_a_data_folder_of_a_newer_version_is_refused_in_one_sentence(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    with sqlite3.connect(tmp_path / "data" / FILE_NAME) as file:
        file.execute("CREATE TABLE alembic_version (version_num TEXT)")
        file.execute("INSERT INTO alembic_version VALUES ('9999')")
    assert "made by a newer Parley" in await last_words(await start())


WITH_NEXT_REVISION = """
import pathlib, runpy, sys
from parley_gateway.store import migrate

migrate.SCRIPTS, migrate.REVISION = pathlib.Path(sys.argv[1]), sys.argv[2]
runpy.run_module("parley_gateway", run_name="__main__")
"""


async def test_a_migration_that_fails_is_named_in_one_sentence_and_changes_nothing(
    broker: Broker, tmp_path: Path
) -> None:
    url = database_url(tmp_path, None)
    migrating.migrate(url)
    before = content(tmp_path / FILE_NAME)
    scripts = with_next_revision(tmp_path / "scripts", 'raise KeyError("half-way")')
    settings = {
        "PARLEY_DATA": str(tmp_path),
        "PARLEY_NATS_CONTEXT": str(broker.context_file("gateway")),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WITH_NEXT_REVISION, str(scripts), NEXT),
        env={**os.environ, **settings},
        stderr=PIPE,
    )
    said = await last_words(process)
    assert f"could not be brought from revision {migrating.REVISION} to {NEXT}" in said
    assert "start the version of Parley that made it" in said
    assert content(tmp_path / FILE_NAME) == before


def content(path: Path) -> bytes:
    return path.read_bytes()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"DATABASE_URL": "mysql://host/db"}, "must name SQLite or PostgreSQL"),
        ({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, "cannot be opened"),
        ({"PARLEY_DATA": "/proc/nothing"}, "cannot be made"),
        ({"PARLEY_REPLICAS": "many"}, "PARLEY_REPLICAS is wrong: it must be a whole number."),
        ({"PARLEY_REPLICAS": "9"}, "PARLEY_REPLICAS is wrong: it must be 5 or less."),
        ({"NATS_URL": "http://x"}, "NATS_URL is wrong: write it as nats://HOST:PORT"),
    ],
)
async def test_a_wrong_setting_is_named_in_one_sentence(
    start: Start, setting: dict[str, str], words: str
) -> None:
    assert words in await last_words(await start(**setting))
