"""What an operation cannot read is refused in a sentence, and whoever else asks is answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from broker import Broker
from eventually import PATIENCE_S
from gateway_house import GatewayHouse, running_gateway
from gateway_store import Clock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from parley_bus.refusals import reply_of
from parley_contracts import operations as op
from parley_contracts.base import Empty
from parley_contracts.errors import ParleyError
from parley_contracts.operations import Operation
from parley_contracts.threads import CreateThread
from sqlalchemy import URL

GOLDEN = Path(__file__).parents[1] / "contracts" / "golden"
BROKEN = [b"{", b"\xff\xfe", b"[]", b'"text"', b"null", b"7", b"[" * 100_000]
EXAMPLES = 20
VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: (
        some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture
async def house(url: URL, broker: Broker) -> AsyncIterator[GatewayHouse]:
    """A gateway with a thread `t`."""
    async with running_gateway(url, broker, Clock()) as running:
        await running.owner.request(op.THREADS_CREATE, CreateThread(id="t"))
        yield running


async def test_a_request_that_is_no_object_is_refused_by_every_operation(
    house: GatewayHouse,
) -> None:
    for operation in op.OPERATIONS:
        for body in BROKEN:
            refusal = await refusal_of(house, operation, body)
            assert refusal, (operation.name, body[:20])
            assert_sensible(refusal, operation, body)
    await house.send("still there")


async def test_a_field_of_any_content_is_taken_or_refused_in_a_sentence(
    house: GatewayHouse,
) -> None:
    for operation in op.OPERATIONS:
        for body in await asyncio.to_thread(bent, operation):
            if refusal := await refusal_of(house, operation, body):
                assert_sensible(refusal, operation, body)
    assert (await house.owner.request(op.SYSTEM_STATUS, Empty())).database.ok
    await house.send("still there")


def bent(operation: Operation[Any, Any]) -> list[bytes]:
    """Return the operation's golden request, with each time one field that holds something else."""
    golden = json.loads((GOLDEN / f"{operation.request.__name__}.json").read_text())
    bodies: list[bytes] = []

    @given(name=some.sampled_from([*golden, "more"]), value=VALUES)
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    def bend(name: str, value: object) -> None:
        bodies.append(json.dumps(golden | {name: value}).encode())

    bend()
    return bodies


async def refusal_of(
    house: GatewayHouse, operation: Operation[Any, Any], body: bytes
) -> ParleyError | None:
    """Send a request as it is; return how it was refused, if it was."""
    try:
        reply_of(await house.owner.ask(operation.subject, body, timeout=PATIENCE_S))
    except ParleyError as refusal:
        return refusal
    return None


def assert_sensible(refusal: ParleyError, operation: Operation[Any, Any], body: bytes) -> None:
    """Assert that it is the sender's mistake, and said in a sentence."""
    told = (operation.name, body[:200], refusal.status, refusal.detail)
    assert 400 <= refusal.status < 500, told
    assert refusal.detail.endswith("."), told
