"""A PostgreSQL server in the official container image."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg
from container_network import LISTEN_ON, LOOPBACK, reachable
from eventually import PATIENCE_S
from parley_contracts.base import new_id
from parley_gateway.store.database import database_url
from parley_gateway.store.migrate import migrate
from parley_gateway.store.schema import metadata
from ports import own_port
from psycopg.sql import SQL
from sqlalchemy import URL
from testcontainers.core.container import DockerContainer

IMAGE = "postgres:17-alpine"
OWNER = "test"


class ContainerPostgres:
    """One server with one migrated database that is emptied for each test."""

    def __init__(self) -> None:
        self._port = own_port()
        container = DockerContainer(IMAGE).with_env("POSTGRES_USER", OWNER)
        container.with_env("POSTGRES_PASSWORD", OWNER).with_env("PGPORT", str(self._port))
        container.with_command(f"postgres -c fsync=off -c listen_addresses={LISTEN_ON}")
        self._container = reachable(container, self._port).start()
        try:
            self._await_ready()
            self.url = self.new_database()
            migrate(self.url)
        except BaseException:
            self.remove()
            raise

    def emptied(self) -> URL:
        """Return the migrated database, without a row."""
        tables = [f'"{table.name}"' for table in reversed(metadata.sorted_tables)]
        deletions = [f"DELETE FROM {table}" for table in (*tables, "message_search")]
        self._run("; ".join(deletions), self.url)
        return self.url

    def new_database(self) -> URL:
        """Make a database without any table; return its URL."""
        name = f"parley_{new_id()}"
        self._run(f"CREATE DATABASE {name}", self._server)
        return self._server.set(database=name)

    def remove(self) -> None:
        """Leave nothing behind."""
        self._container.stop()

    def _await_ready(self) -> None:
        """Return when it serves: it starts once more after its own preparations."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self._run("SELECT 1", self._server)
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    @property
    def _server(self) -> URL:
        address = f"{OWNER}:{OWNER}@{LOOPBACK}:{self._port}/{OWNER}"
        return database_url(Path(), f"postgresql://{address}")

    def _run(self, sql: str, url: URL) -> None:
        address = url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(SQL(sql))
