"""Each credential reaches its own subjects and no others: the server itself refuses the rest."""

from __future__ import annotations

import nats
import pytest
from broker import Broker
from parley_bus import Bus
from parley_contracts.operations import OPERATIONS, WORKERS_BEAT
from parley_contracts.permissions import SERVICES
from parley_contracts.subjects import CATALOG_BUCKET, DELIVERIES, EVENTS, TURNS

FOR_WORKERS = {
    "turns.begin",
    "turns.history",
    "turns.record_step",
    "turns.finish",
    "turns.release",
    "workers.beat",
    "threads.name",
    "letters.keep",
}
NOT_TO_PUBLISH = {
    "gateway": [
        "parley.rpc.turns.finish",
        f"$KV.{CATALOG_BUCKET}.worker.w",
        f"$JS.ACK.{TURNS.name}.{TURNS.durable}.1.1.1.1.1",
        "_INBOX.web.x",
    ],
    "agent-worker": [
        "parley.turns.t",
        "parley.deliveries.telegram.1",
        "parley.control.cancel.t",
        f"$JS.API.STREAM.DELETE.{TURNS.name}",
        f"$JS.API.STREAM.MSG.DELETE.{TURNS.name}",
        f"$JS.API.STREAM.MSG.GET.{TURNS.name}",
        f"$JS.API.CONSUMER.CREATE.{TURNS.name}.{TURNS.durable}",
        f"$JS.API.CONSUMER.CREATE.{EVENTS.name}.x",
        f"$JS.API.CONSUMER.MSG.NEXT.{DELIVERIES.name}.{DELIVERIES.durable}",
        f"$JS.ACK.{DELIVERIES.name}.{DELIVERIES.durable}.1.1.1.1.1",
        "_INBOX.web.x",
        "$SRV.PING",
    ],
    "web": [
        "parley.events.t.message_ready",
        "parley.turns.t",
        f"$JS.API.CONSUMER.MSG.NEXT.{TURNS.name}.{TURNS.durable}",
        f"$JS.API.CONSUMER.CREATE.{TURNS.name}.x",
        f"$JS.API.STREAM.PURGE.{EVENTS.name}",
        f"$JS.ACK.{TURNS.name}.{TURNS.durable}.1.1.1.1.1",
        f"$KV.{CATALOG_BUCKET}.worker.w",
        "_INBOX.gateway.x",
    ],
    "owner": ["parley.events.t.message_ready", "parley.turns.t", "parley.rpc.providers.keys"],
}
NOT_TO_HEAR = {
    "gateway": ["parley.events.>", "parley.turns.>", "_INBOX.>", "_INBOX.web.>"],
    "agent-worker": ["parley.>", "parley.rpc.>", "parley.events.>", "_INBOX.web.>", "$SRV.>"],
    "web": ["parley.>", "parley.rpc.>", "parley.turns.>", "$KV.>", "_INBOX.gateway.>"],
    "owner": ["_INBOX.>", "_INBOX.gateway.>", "$KV.>", "$JS.API.>"],
}


async def refused(broker: Broker, service: str, *, publish: list[str], hear: list[str]) -> set[str]:
    """Try everything; return what the server refused."""
    errors: list[str] = []

    async def keep(error: Exception) -> None:
        errors.append(str(error))

    context = broker.context(service)
    client = await nats.connect(
        context.url, user=context.user, password=context.password, error_cb=keep
    )
    for subject in publish:
        await client.publish(subject, b"{}")
    for subject in hear:
        await client.subscribe(subject)
    for _ in range(2):  # nats-py lets its PING overtake what it still buffers
        await client.flush()
    await client.close()
    tried = {each for each in [*publish, *hear] if any(f'"{each.lower()}"' in e for e in errors)}
    assert len(errors) == len(tried)
    return tried


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_is_refused_what_belongs_to_others(broker: Broker, service: str) -> None:
    publish, hear = NOT_TO_PUBLISH[service], NOT_TO_HEAR[service]
    assert await refused(broker, service, publish=publish, hear=hear) == {*publish, *hear}


async def test_only_workers_may_do_a_workers_operations(broker: Broker) -> None:
    subjects = {each.name: each.subject for each in OPERATIONS}
    for_workers = [subjects[name] for name in FOR_WORKERS]
    for_others = [each for each in subjects.values() if each not in for_workers]
    assert await refused(broker, "agent-worker", publish=for_workers, hear=[]) == set()
    assert await refused(broker, "agent-worker", publish=for_others, hear=[]) == set(for_others)
    assert await refused(broker, "web", publish=for_others, hear=[]) == set()


async def test_a_stranger_is_not_let_in(broker: Broker) -> None:
    with pytest.raises(nats.errors.Error, match=r"(?i)authorization"):
        await nats.connect(broker.url, allow_reconnect=False)


async def test_what_is_refused_is_logged(
    gateway: Bus, web: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    await web.publish(WORKERS_BEAT.subject, b"{}")
    await web.settled()
    assert "permissions violation" in caplog.text
