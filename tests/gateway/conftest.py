"""The store suite runs on SQLite and, where an engine answers, on PostgreSQL."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import docker
import pytest
from container_postgres import ContainerPostgres
from gateway_store import Store
from parley_gateway.defaults import ensure_agents
from parley_gateway.store.database import FILE_NAME, database_url
from parley_gateway.store.migrate import migrate
from sqlalchemy import URL


@pytest.fixture(scope="session")
def postgres() -> Iterator[ContainerPostgres]:
    """One PostgreSQL server for the session; in CI there has to be one."""
    try:
        docker.from_env().ping()
    except docker.errors.DockerException as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no container engine answers: {error}")
    server = ContainerPostgres()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database file, to be copied."""
    folder = tmp_path_factory.mktemp("migrated")
    migrate(database_url(folder, None))
    return folder / FILE_NAME


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, migrated_file: Path) -> URL:
    """The URL of a migrated, empty database."""
    if request.param == "sqlite":
        shutil.copy(migrated_file, tmp_path / FILE_NAME)
        return database_url(tmp_path, None)
    server: ContainerPostgres = request.getfixturevalue("postgres")
    return server.emptied()


@pytest.fixture
def file_url(migrated_file: Path, tmp_path: Path) -> URL:
    """The URL of a migrated, empty file."""
    shutil.copy(migrated_file, tmp_path / FILE_NAME)
    return database_url(tmp_path, None)


@pytest.fixture
async def store(url: URL) -> AsyncIterator[Store]:
    """A store with its first agents and an empty thread `t`."""
    opened = Store(url)
    await ensure_agents(opened.database.writer)
    await opened.thread()
    opened.effects.clear()
    yield opened
    await opened.database.close()
