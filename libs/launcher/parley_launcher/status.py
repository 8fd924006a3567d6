"""`./parley status`: what runs, who works, what waits. Exit code 1 when that is not well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from parley_bus import Bus, Catalog, jetstream
from parley_contracts.base import Empty
from parley_contracts.errors import ParleyError
from parley_contracts.operations import SYSTEM_STATUS

from parley_launcher.client import as_owner
from parley_launcher.environment import environment
from parley_launcher.folder import DataFolder
from parley_launcher.models import lines_of
from parley_launcher.options import Parser


def main(arguments: list[str]) -> int:
    """Print the state of the house. Raises Trouble when none runs."""
    parser = Parser("status", "Show services, workers, streams and queues.", environment())
    parser.data_option()
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    folder = DataFolder(options.data)

    async def work(bus: Bus) -> int:
        status = {
            **folder.running(),
            "gateway": await _gateway(bus),
            "streams": await _streams(bus),
            "models": await _models(bus),
        }
        lines = [json.dumps(status, indent=2)] if options.json else _lines(status)
        print("\n".join(lines))
        return 0 if status["gateway"].get("database", {}).get("ok") else 1

    return as_owner(folder, work)


async def _gateway(bus: Bus) -> dict[str, Any]:
    """Return the gateway's own status, or under `problem` why there is none."""
    try:
        status: dict[str, Any] = json.loads(await bus.request_raw(SYSTEM_STATUS, Empty()))
        return status
    except ParleyError as error:
        return {"problem": error.detail}


async def _streams(bus: Bus) -> list[dict[str, Any]]:
    """Return name, messages and bytes of each stream, none when they cannot be read."""
    try:
        answer = await jetstream.call(bus, "STREAM.LIST")
    except (ParleyError, jetstream.Refused):
        return []
    found = [(each["config"]["name"], each["state"]) for each in answer.get("streams") or []]
    return [
        {"name": name, "messages": state["messages"], "bytes": state["bytes"]}
        for name, state in sorted(found, key=lambda each: str(each[0]))
    ]


async def _models(bus: Bus) -> list[str]:
    """Return what the workers found, as lines for a person."""
    try:
        entries = [each.model_dump() for each in await Catalog(bus).entries()]
    except ParleyError:
        return []
    providers = {each["name"]: each for entry in entries for each in entry["providers"]}
    return list(lines_of({"workers": entries, "providers": list(providers.values())}))


def _lines(status: dict[str, Any]) -> Iterator[str]:
    """Yield the status as a person reads it."""
    yield f"Parley at {status['url']}, since {status['started_at'][:19].replace('T', ' ')} UTC"
    yield from ("", "services")
    for name, entries in status["services"].items():
        for each in entries if isinstance(entries, list) else [entries]:
            yield f"  {name:14}{_process(each)}"
    yield from _gateway_lines(status["gateway"])
    yield from ("", "models", *(f"  {each}" for each in status["models"]))
    yield from ("", "streams")
    for each in status["streams"]:
        yield f"  {each['name']:20}{each['messages']} messages, {each['bytes']:,} bytes"


def _process(entry: dict[str, Any]) -> str:
    if entry["pid"] is None:
        return "is being started again"
    port = f", port {entry['port']}" if "port" in entry else ""
    return f"pid {entry['pid']}{port}"


def _gateway_lines(gateway: dict[str, Any]) -> Iterator[str]:
    if "problem" in gateway:
        yield from ("", f"gateway: {gateway['problem']}")
        return
    database, turns = gateway["database"], gateway["turns"]
    yield from ("", "workers")
    for each in gateway.get("workers", []):
        yield f"  {each['worker_id']:20}{each['turns']} turns"
    yield from ("", "turns")
    counts = ("running", "dispatched", "queued", "waiting")
    yield "  " + ", ".join(f"{turns[each]} {each}" for each in counts)
    if (oldest := turns.get("oldest_wait_s")) is not None:
        yield f"  the oldest waits for {oldest:.1f} s"
    if letters := gateway.get("letters"):
        yield f"  dead letters: {letters}; './parley letters' shows them"
    state = "ok" if database["ok"] else database.get("detail", "not ok")
    yield from ("", f"database: {database['kind']}, {state}; {gateway['threads']} threads")
