"""Claims: leases by the clock that does not sleep, renewed by beats, lost and noticed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest
from agent_worker.stage import Client, Stage, client
from eventually import eventually
from parley_agent_worker import claims as claims_module
from parley_agent_worker.claims import BEAT_S, Claims, Hold, boot_time
from parley_agent_worker.gateway import ClaimLost
from parley_bus import Bus, Slot, SlotQueue
from parley_contracts import operations as op
from parley_contracts.base import Empty, new_id
from parley_contracts.subjects import TURNS
from parley_contracts.turns import BeginTurn, ReleaseTurn, TurnGranted, TurnSlot

HOUR_S = 3600.0


@pytest.fixture
async def talking(stage: Stage) -> AsyncIterator[Client]:
    """A client of a gateway without workers."""
    stage.start_gateway()
    async with client(stage) as connected:
        yield connected


@pytest.fixture
async def worker(stage: Stage, talking: Client) -> AsyncIterator[Bus]:
    """A worker's connection, with nothing running on it."""
    bus = await Bus.connect(stage.broker.context("agent-worker"), name="agent-worker")
    yield bus
    await bus.close()


@pytest.fixture
def suspend(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the machine have slept for an hour: CLOCK_MONOTONIC has not moved, CLOCK_BOOTTIME has."""
    read, slept = time.clock_gettime, {time.CLOCK_BOOTTIME: HOUR_S}

    def sleep() -> None:
        monkeypatch.setattr(
            time, "clock_gettime", lambda clock: read(clock) + slept.get(clock, 0.0)
        )

    return sleep


async def begun(talking: Client, bus: Bus) -> TurnGranted:
    """Send a message and claim its turn, as a worker does."""
    taken: asyncio.Queue[TurnGranted] = asyncio.Queue()

    async def take(slot: Slot) -> None:
        due = TurnSlot.model_validate_json(slot.payload)
        request = BeginTurn(
            turn_id=due.turn_id, dispatch_no=due.dispatch_no, claim=new_id(), worker_id="w"
        )
        reply = await bus.request(op.TURNS_BEGIN, request)
        if isinstance(reply, TurnGranted):  # else it was dispatched anew, and comes again
            taken.put_nowait(reply)

    consumer = SlotQueue(bus, TURNS).consume(take, room=1)
    await talking.send(await talking.thread(), "hi")
    granted = await taken.get()
    await consumer.stop(1.0)
    return granted


async def test_rule_14_a_lease_that_the_machine_slept_through_is_renewed_before_acting(
    talking: Client, worker: Bus, suspend: Callable[[], None]
) -> None:
    claims = Claims(worker, "w")
    with claims.holding(await begun(talking, worker), boot_time()) as hold:
        await claims.confirm(hold)
        suspend()
        assert boot_time() > hold.fresh_until
        await claims.confirm(hold)
        assert boot_time() < hold.fresh_until
        assert hold.ended is None


async def test_rule_14_a_lease_that_was_lost_meanwhile_stops_the_work(
    talking: Client, worker: Bus, suspend: Callable[[], None]
) -> None:
    claims = Claims(worker, "w")
    with claims.holding(await begun(talking, worker), boot_time()) as hold:
        await worker.request(op.TURNS_RELEASE, ReleaseTurn(claim=hold.claim))
        suspend()
        with pytest.raises(ClaimLost):
            await claims.confirm(hold)
        assert hold.ended == "lost"


async def test_rule_6_a_held_claim_is_renewed_long_before_its_lease_ends(
    talking: Client, worker: Bus
) -> None:
    claims = Claims(worker, "w")
    granted = await begun(talking, worker)
    with claims.holding(granted, boot_time()) as hold:
        await _renewed_twice(claims, hold)
    assert granted.lease_s / 3 >= BEAT_S


async def _renewed_twice(claims: Claims, hold: Hold) -> None:
    """Return when two beats have renewed a claim."""
    renewed, beating = [hold.fresh_until], asyncio.create_task(claims.keep())

    async def renewed_twice() -> bool:
        if hold.fresh_until > renewed[-1]:
            renewed.append(hold.fresh_until)
        return len(renewed) > 2

    await eventually(renewed_twice)
    beating.cancel()


async def test_rule_6_beats_go_on_where_the_file_for_the_health_check_cannot_be_written(
    talking: Client, worker: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLEY_HEALTH_FILE", "/nowhere/alive")
    monkeypatch.setattr(claims_module, "BEAT_S", 0.5)
    claims = Claims(worker, "w")
    with claims.holding(await begun(talking, worker), boot_time()) as hold:
        await _renewed_twice(claims, hold)


async def test_rule_6_a_beat_tells_what_was_lost_and_what_the_owner_stopped(
    talking: Client, worker: Bus
) -> None:
    claims = Claims(worker, "w")
    granted = await begun(talking, worker)
    with claims.holding(granted, boot_time()) as hold:
        hold.work = asyncio.create_task(_for_ever())
        await talking.cancel(granted.turn.id)
        beating = asyncio.create_task(claims.keep())
        await asyncio.wait([hold.work])
        assert hold.ended == "cancelled"
        beating.cancel()


async def test_a_worker_without_work_beats_so_that_it_can_be_seen(
    talking: Client, worker: Bus
) -> None:
    beating = asyncio.create_task(Claims(worker, "idle").keep())

    async def seen() -> bool:
        status = await talking.bus.request(op.SYSTEM_STATUS, Empty())
        return [(each.worker_id, each.turns) for each in status.workers] == [("idle", 0)]

    await eventually(seen)
    beating.cancel()


async def _for_ever() -> None:
    await asyncio.Event().wait()
