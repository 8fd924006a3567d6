"""The broker's side of the house: a credential for each service, and the embedded server's file.

Each credential is a context file of the `nats` command's own format, `<data>/nats/<service>.json`.
Passwords are made once and stay. With NATS_URL, a server that runs already takes the embedded
one's place; who connects is then said by that URL, or by the context files in the folder
PARLEY_NATS_CONTEXT.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parley_contracts.permissions import SERVICES, inbox

from parley_launcher.errors import Trouble
from parley_launcher.folder import DataFolder, write_private

OWNER = "owner"
HOST = "127.0.0.1"


def context_file(folder: DataFolder, service: str) -> Path:
    """Return where the service's credential is kept."""
    return folder.nats / f"{service}.json"


def configure_embedded(folder: DataFolder, port: int) -> Path:
    """Write the credentials and the configuration of an embedded server; return the latter."""
    from parley_bus.server_config import server_config

    passwords = {each: _password(folder, each) for each in SERVICES}
    for each, password in passwords.items():
        _write(folder, each, url=f"nats://{HOST}:{port}", user=each, password=password)
    config = folder.nats / "nats.conf"
    store = str(folder.nats / "jetstream")
    write_private(config, server_config(passwords=passwords, store_dir=store, host=HOST, port=port))
    return config


def use_existing(folder: DataFolder, environment: Mapping[str, str]) -> None:
    """Write the credentials for the server that NATS_URL names. Raises Trouble."""
    from parley_bus.context import check_url

    try:
        check_url(environment["NATS_URL"])
    except ValueError as error:
        raise Trouble(f"NATS_URL is wrong: {error}") from None
    given = environment.get("PARLEY_NATS_CONTEXT")
    for each in SERVICES:
        context = _given(Path(given) / f"{each}.json") if given else {}
        _write(folder, each, **{**context, "url": environment["NATS_URL"]})


def _write(folder: DataFolder, service: str, **settings: str) -> None:
    context = {
        "description": f"Parley: {service}",
        "inbox_prefix": inbox(service),
        **settings,
    }
    write_private(context_file(folder, service), json.dumps(context, indent=2) + "\n")


def _password(folder: DataFolder, service: str) -> str:
    """Return the password that the service has had, or a new one."""
    try:
        context = json.loads(context_file(folder, service).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        context = {}
    known = context.get("password") if context.get("user") == service else None
    return str(known or secrets.token_urlsafe(24))


def _given(file: Path) -> dict[str, Any]:
    try:
        context: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return context
    except (OSError, ValueError) as error:
        raise Trouble(
            f"the NATS context {file} cannot be read ({error}); PARLEY_NATS_CONTEXT names a folder"
            f" with a context file for each of {', '.join(SERVICES)}"
        ) from error
