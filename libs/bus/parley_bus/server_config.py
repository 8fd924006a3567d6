"""The configuration of a NATS server for Parley: who may connect, and what each may do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from parley_contracts.permissions import SERVICES, Permissions

MAX_PAYLOAD = 8 * 1024 * 1024
PING, PINGS = "5s", 2
MAX_STORE = 16 * 1024**3
"""Bytes that streams may reserve. By itself NATS allows three quarters of what is free at its
start, so that on a nearly full disk there would be no streams, however little is in them."""


def server_config(
    *,
    passwords: Mapping[str, str],
    store_dir: str,
    host: str = "127.0.0.1",
    port: int = 4222,
) -> str:
    """Return the text of a nats.conf (JSON, which NATS reads), with one user a service.

    `passwords` are by service, for all that `parley_contracts.permissions` lists; the text is as
    secret as they are. Port -1 lets the system choose.
    """
    config = {
        "server_name": "parley",
        "host": host,
        "port": port,
        "max_payload": MAX_PAYLOAD,
        # A client that fell silent is let go in seconds; until then requests still go to it.
        "ping_interval": PING,
        "ping_max": PINGS,
        "jetstream": {"store_dir": store_dir, "max_file_store": MAX_STORE},
        "authorization": authorization(passwords),
    }
    # NATS knows no \\u escapes; a folder may have any name.
    return json.dumps(config, indent=2, ensure_ascii=False) + "\n"


def authorization(passwords: Mapping[str, str]) -> dict[str, Any]:
    """Return the part that says who may connect and what each may do."""
    users = [
        {"user": service, "password": passwords[service], "permissions": _permissions(allowed)}
        for service, allowed in SERVICES.items()
    ]
    return {"users": users}


def _permissions(allowed: Permissions) -> dict[str, Any]:
    publish = {"allow": list(allowed.publish), "deny": list(allowed.deny_publish)}
    subscribe = {"allow": list(allowed.subscribe)}
    return {"publish": publish, "subscribe": subscribe, "allow_responses": allowed.responds}
