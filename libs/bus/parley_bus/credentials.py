"""Makes what services in containers may know, before any of them starts.

`python -m parley_bus.credentials HOUSE CONF`: every folder in HOUSE is a volume, and each container
sees only its own: `nats`, `postgres`, one for each credential of `parley_contracts.permissions`.
The servers' configuration CONF is laid beside what it includes. Passwords are made once and stay.
What the owner has set comes in files `GIVEN/<service>` of lines NAME=value and goes into the
service's folder of settings (PARLEY_SETTINGS), so that no secret is in a container's environment.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from parley_contracts.permissions import SERVICES, inbox

from parley_bus.server_config import authorization

URL = "nats://nats:4222"
ROUTES_PORT = 6222


@dataclass(frozen=True)
class House:
    """The volumes below one folder."""

    path: Path

    def make_contexts(self, existing: str | None) -> None:
        """Write each service's context file; the URL of an existing server says who connects."""
        for service in SERVICES:
            ours = {"url": URL, "user": service, "password": self.password(service)}
            context = {
                "description": f"Parley: {service}",
                "inbox_prefix": inbox(service),
                **({"url": existing} if existing else ours),
            }
            _write(self.path / service / "nats.json", json.dumps(context, indent=2))

    def make_servers(self, conf: Path, nodes: Sequence[str]) -> None:
        """Write nats.conf and what it includes; servers on several nodes are a cluster."""
        _write(self.path / "nats" / "nats.conf", conf.read_text(encoding="utf-8"))
        passwords = {service: self.password(service) for service in SERVICES}
        users = json.dumps(authorization(passwords), indent=2)
        _write(self.path / "nats" / "users.conf", users)
        cluster = _cluster(nodes, self.password("nats")) if nodes else "{}"
        _write(self.path / "nats" / "cluster.conf", cluster)

    def make_postgres(self, host: str) -> None:
        """Write the gateway's password for PostgreSQL, as libpq reads one."""
        line = f"{host}:*:*:*:{self.password('postgres')}"
        _write(self.path / "gateway" / "pgpass", line)

    def make_settings(self, given: Path) -> None:
        """Write a file for each setting that is given and not empty; remove all others."""
        for service in SERVICES:
            folder = self.path / service / "settings"
            folder.mkdir(exist_ok=True)
            settings = _read_settings(given / service)
            for old in folder.iterdir():
                if old.name not in settings:
                    old.unlink()
            for name, value in settings.items():
                _write(folder / name, value)

    def password(self, user: str) -> str:
        """Return the password that the user has had, or a new one."""
        path = self.path / user / "password"
        if not path.exists():
            _write(path, secrets.token_urlsafe(24))
        return path.read_text(encoding="utf-8").strip()


def _cluster(nodes: Sequence[str], password: str) -> str:
    """Return the part of nats.conf by which the servers of these names find each other."""
    cluster = {
        "name": "parley",
        "listen": f"0.0.0.0:{ROUTES_PORT}",
        "authorization": {"user": "node", "password": password},
        "routes": [f"nats://node:{password}@{node}:{ROUTES_PORT}" for node in nodes],
    }
    return json.dumps({"cluster": cluster}, indent=2)


def _read_settings(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    settings = (line.partition("=") for line in lines)
    return {name: value for name, _, value in settings if value}


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text + "\n", encoding="utf-8")
    draft.replace(path)


def main() -> None:
    """Make everything; a repetition changes nothing but settings."""
    parser = argparse.ArgumentParser(prog="python -m parley_bus.credentials")
    parser.add_argument("house", type=Path, help="the folder with a volume for each container")
    parser.add_argument("conf", type=Path, help="what every NATS server is told")
    parser.add_argument("--given", type=Path, default=Path("/given"), help="what the owner has set")
    parser.add_argument("--nodes", nargs="+", default=(), help="the hosts of a NATS cluster")
    parser.add_argument("--postgres", metavar="HOST", help="the host of a PostgreSQL server")
    options = parser.parse_args()
    os.umask(0o077)
    house = House(options.house)
    house.make_contexts(_read_settings(options.given / "nats").get("NATS_URL"))
    house.make_servers(options.conf, options.nodes)
    house.make_settings(options.given)
    if options.postgres:
        house.make_postgres(options.postgres)


if __name__ == "__main__":
    main()
