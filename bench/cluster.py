"""Three NATS servers that form a cluster, in place of the one that `./parley up` embeds."""

from __future__ import annotations

import json
import secrets
import sysconfig
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from parley_bus.server_config import server_config
from parley_contracts.permissions import SERVICES, inbox

from bench.processes import HOST, Program, free_ports

SERVERS = 3


@asynccontextmanager
async def running_cluster(
    folder: Path,
) -> AsyncIterator[tuple[list[Program], Mapping[str, str]]]:
    """Run the servers; yield them and the variables by which a Parley uses them."""
    passwords = {service: secrets.token_urlsafe(24) for service in SERVICES}
    ports = free_ports(2 * SERVERS)
    clients, routes = ports[:SERVERS], ports[SERVERS:]
    nats_server = Path(sysconfig.get_path("scripts")) / "nats-server"
    async with AsyncExitStack() as stack:
        servers = []
        for number in range(SERVERS):
            config = folder / f"{number}.conf"
            config.write_text(_config(folder, number, clients[number], routes, passwords))
            log = folder / f"{number}.log"
            server = await Program.start(nats_server, "--config", config, log=log)
            stack.push_async_callback(server.stop)
            servers.append(server)
        contexts = _contexts(folder / "contexts", passwords)
        yield (
            servers,
            {
                "NATS_URL": f"nats://{HOST}:{clients[0]}",
                "PARLEY_NATS_CONTEXT": str(contexts),
                "PARLEY_REPLICAS": str(SERVERS),
            },
        )


def _config(
    folder: Path, number: int, port: int, routes: list[int], passwords: Mapping[str, str]
) -> str:
    store = str(folder / f"store-{number}")
    config: dict[str, Any] = json.loads(
        server_config(passwords=passwords, store_dir=store, host=HOST, port=port)
    )
    config["server_name"] = f"parley-{number}"
    config["cluster"] = {
        "name": "parley",
        "listen": f"{HOST}:{routes[number]}",
        "routes": [f"nats-route://{HOST}:{each}" for each in routes],
    }
    return json.dumps(config)


def _contexts(folder: Path, passwords: Mapping[str, str]) -> Path:
    """Write each service's credential and return their folder."""
    folder.mkdir()
    for service, password in passwords.items():
        context = {"user": service, "password": password, "inbox_prefix": inbox(service)}
        (folder / f"{service}.json").write_text(json.dumps(context))
    return folder
