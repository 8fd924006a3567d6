"""A whole gateway over a real broker: slots, events, outages, rivals."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from broker import Broker
from container_postgres import ContainerPostgres
from eventually import PATIENCE_S, eventually
from gateway_house import TOKEN, GatewayHouse, running_gateway
from gateway_store import Clock, Store
from parley_contracts import operations as op
from parley_contracts.base import Empty
from parley_contracts.errors import Conflict, Invalid, NotFound, TooMany, Unauthorized, Unavailable
from parley_contracts.events import MessageReady, TextDelta, TurnCancelled, TurnStarted
from parley_contracts.letters import LetterRef
from parley_contracts.messages import SendMessage
from parley_contracts.sessions import CheckSession, SessionRef, SignIn
from parley_contracts.subjects import TURNS, cancel_subject
from parley_contracts.system import ReadUsage
from parley_contracts.threads import CreateThread, ImportMessage, ImportThread
from parley_contracts.turns import (
    Beat,
    CancelTurn,
    Claim,
    ReadHistory,
    ReleaseTurn,
    TurnBusy,
    TurnOver,
    TurnSlot,
)
from parley_gateway.defaults import ensure_agents
from parley_gateway.handlers import Handlers
from parley_gateway.store import messages
from parley_gateway.store.claims import LEASE_S
from patient_bus import PatientBus
from sqlalchemy import URL


@pytest.fixture
async def house(file_url: URL, broker: Broker) -> AsyncIterator[GatewayHouse]:
    """A gateway on SQLite with an empty thread `t`."""
    async with running_gateway(file_url, broker, Clock()) as running:
        await running.owner.request(op.THREADS_CREATE, CreateThread(id="t"))
        yield running


async def test_every_operation_is_served(house: GatewayHouse) -> None:
    assert set(Handlers(house.gateway).all()) == set(op.OPERATIONS)
    assert (await house.owner.request(op.SYSTEM_STATUS, Empty())).database.ok


async def test_a_message_walks_through_slot_and_worker_to_its_answer(house: GatewayHouse) -> None:
    accepted = await house.send("hello")
    slot, reply = await house.taken()
    assert TurnSlot.model_validate_json(slot.payload).turn_id == accepted.turn.id
    await house.finish(reply.claim, slot, "hi there")
    ready = await house.next_event("message_ready")
    message = MessageReady.model_validate_json(ready.payload).message
    assert (message.text, message.position) == ("hi there", 2)

    async def slot_is_free() -> bool:
        return await house.slots.peek("t") is None

    await eventually(slot_is_free)
    kinds = [record.kind for record in await house.events.replay(thread_id="t")]
    assert kinds == ["thread_changed", "message_accepted", "thread_changed", "message_ready"]


async def test_quick_messages_are_answered_in_order(house: GatewayHouse) -> None:
    for number in range(5):
        await house.send(f"q{number}")
    async with house.working():

        async def all_answered() -> bool:
            return len((await house.view()).messages) == 10

        await eventually(all_answered)
    texts = [message.text for message in (await house.view()).messages]
    assert texts == ["q0", "Q0", "q1", "Q1", "q2", "Q2", "q3", "Q3", "q4", "Q4"]


async def test_rule_11_finish_frees_the_slot_for_the_next_turn(house: GatewayHouse) -> None:
    await house.send("one")
    second = await house.send("two")
    slot, reply = await house.taken()

    async def holds_the_next() -> bool:
        found = await house.slots.peek("t")
        return found is not None and second.turn.id.encode() in found.payload

    async with house.unswept():
        await house.finish(reply.claim, slot)
        await eventually(holds_the_next)
        number = TurnSlot.model_validate_json((await house.slot()).payload).dispatch_no
    assert number == 1, "the slot was still occupied, and had to be looked at"


async def test_rule_10_a_slot_that_was_not_freed_is_replaced(house: GatewayHouse) -> None:
    await house.send("one")
    second = await house.send("two")
    _, reply = await house.taken()
    await house.finish(reply.claim, None)

    async def holds_the_next() -> bool:
        found = await house.slots.peek("t")
        return found is not None and second.turn.id.encode() in found.payload

    await eventually(holds_the_next)


async def test_rule_8_a_dead_workers_turn_goes_to_another(house: GatewayHouse) -> None:
    await house.send("hello")
    first, zombie = await house.taken()
    house.clock.advance(2 * LEASE_S)
    await house.gateway.sweep()
    assert isinstance(await house.begin(first), TurnOver)
    second, living = await house.taken()
    assert second.sequence != first.sequence
    with pytest.raises(Conflict, match="no longer holds"):
        await house.finish(zombie.claim, first, "the zombie speaks")
    await house.finish(living.claim, second, "the living speaks")
    texts = [message.text for message in (await house.view()).messages]
    assert texts == ["hello", "the living speaks"]


async def test_rule_8_a_dead_workers_turn_is_due_as_soon_as_the_respite_ends(
    house: GatewayHouse,
) -> None:
    await house.send("hello")
    first, _ = await house.taken()
    house.clock.advance(2 * LEASE_S)
    for _ in range(40):  # outage after outage: each sweep finds the turn held by the respite alone
        house.gateway.respite.renew()
        await house.gateway.sweep()
        house.clock.advance(LEASE_S / 2)
    house.clock.advance(LEASE_S / 2 + 0.001)
    await house.gateway.sweep()
    assert (await house.slot()).sequence != first.sequence


async def test_rule_6_a_gateway_that_starts_takes_nobodys_turn_for_a_lease(
    file_url: URL, broker: Broker
) -> None:
    clock = Clock()
    async with running_gateway(file_url, broker, clock) as before:
        await before.owner.request(op.THREADS_CREATE, CreateThread(id="t"))
        await before.send("hello")
        slot, _ = await before.taken()
    clock.advance(2 * LEASE_S)
    async with running_gateway(file_url, broker, clock) as after:
        reply = await after.begin(slot)
        assert isinstance(reply, TurnBusy)
        assert reply.retry_s == pytest.approx(LEASE_S, abs=1)


async def test_rule_8_a_reconnect_gives_everybody_time_to_beat(
    house: GatewayHouse, broker: Broker
) -> None:
    await house.send("hello")
    slot, reply = await house.taken()
    broker.kill()
    house.clock.advance(2 * LEASE_S)
    broker.start()

    async def respite_renewed() -> bool:
        return house.gateway.respite.until > house.clock()

    await eventually(respite_renewed)
    assert isinstance(await house.begin(slot), TurnBusy)
    beat = Beat(worker_id="w", claims=(reply.claim,))
    assert (await house.worker.request(op.WORKERS_BEAT, beat)).held == (reply.claim.turn_id,)


async def test_rule_12_a_wiped_broker_is_filled_again(house: GatewayHouse, broker: Broker) -> None:
    await house.send("hello")
    before = await house.slot()
    broker.wipe()

    async def topology_is_back() -> bool:
        try:
            return await house.slots.peek("t") is not None
        except Unavailable:
            return False

    await eventually(topology_is_back)
    assert (await house.slot()).sequence > before.sequence
    async with house.working():
        ready = await house.next_event("message_ready")
    assert ready.sequence > before.sequence


async def test_what_was_accepted_before_a_crash_is_dispatched_and_told_after_it(
    file_url: URL, broker: Broker
) -> None:
    crashed = Store(file_url)
    await ensure_agents(crashed.database.writer)
    await crashed.thread()
    await crashed.send("accepted, then the power went")
    await crashed.database.close()
    async with running_gateway(file_url, broker, Clock()) as house:
        await house.next_event("message_accepted")
        await house.answer()
        await house.next_event("message_ready")
        assert len((await house.view()).messages) == 2


async def test_events_that_are_published_again_are_stored_once(house: GatewayHouse) -> None:
    await house.send("hello")
    await house.next_event("message_accepted")
    house.gateway._outbox.catch_up()
    await house.answer()
    await house.next_event("message_ready")
    kinds = [record.kind for record in await house.events.replay(thread_id="t")]
    assert kinds.count("message_accepted") == 1


async def test_the_first_start_tells_of_its_agents(house: GatewayHouse) -> None:
    record = await house.next_event("agent_changed")
    assert record.thread_id is None


async def test_what_was_committed_during_an_outage_is_told_after_it(
    house: GatewayHouse, broker: Broker
) -> None:
    await house.next_event("thread_changed")
    broker.kill()
    command = SendMessage(thread_id="t", text="accepted in the dark")
    await house.gateway.writer.run(messages.send, command)
    broker.start()
    await house.next_event("message_accepted")
    async with house.working():
        await house.next_event("message_ready")


async def test_a_fault_does_not_end_the_telling_of_events(
    house: GatewayHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = house.gateway._events
    publish = events.publish

    async def fail(*_: Any, **__: Any) -> int:
        monkeypatch.setattr(events, "publish", publish)
        raise OSError("no file descriptor is left")

    monkeypatch.setattr(events, "publish", fail)
    await house.send("hello")
    assert await house.next_event("message_accepted")


async def test_rule_10_a_slot_that_nobody_can_read_is_replaced(house: GatewayHouse) -> None:
    await house.next_event("thread_changed")
    unreadable = Claim(turn_id="not", attempt=1, claim="a-turn")
    sequence = await house.slots.put("t", unreadable)
    await house.send("hello")

    async def replaced() -> bool:
        found = await house.slots.peek("t")
        return found is not None and found.sequence != sequence

    await eventually(replaced)
    await house.taken()
    letter = await house.owner.request(op.LETTERS_GET, LetterRef(id=f"{TURNS.name}-{sequence}"))
    assert b64decode(letter.payload) == unreadable.encode()


async def test_published_events_leave_the_outbox(house: GatewayHouse) -> None:
    await house.send("hello")
    await house.next_event("message_accepted")

    async def outbox_is_empty() -> bool:
        await house.gateway.sweep()
        return (await house.owner.request(op.SYSTEM_STATUS, Empty())).outbox == 0

    await eventually(outbox_is_empty)


async def test_rule_16_a_silent_workers_turn_is_ended_with_what_it_had_said(
    house: GatewayHouse,
) -> None:
    accepted = await house.send("tell me")
    claim = (await house.taken())[1].claim
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def hear(subject: str, _: bytes) -> None:
        heard.put_nowait(subject)

    await house.worker.subscribe("parley.control.cancel.*", hear)
    place = {"thread_id": "t", "turn_id": claim.turn_id, "attempt": 1}
    started = {**place, "number": 0, "agent_id": "parley", "message_id": "m", "position": 1}
    await house.events.publish(TurnStarted.model_validate(started))
    for number, (offset, text) in enumerate([(0, "Once upon "), (10, "a ti")], start=1):
        delta = {**place, "number": number, "offset": offset, "text": text}
        await house.events.publish(TextDelta.model_validate(delta))
    await house.owner.request(op.TURNS_CANCEL, CancelTurn(id=accepted.turn.id))
    async with asyncio.timeout(PATIENCE_S):
        assert await heard.get() == cancel_subject(claim.turn_id)
    house.clock.advance(1)
    record = await house.next_event("turn_cancelled")
    closing = TurnCancelled.model_validate_json(record.payload)
    assert closing.message
    assert (closing.message.text, closing.message.error) == ("Once upon a ti", None)
    assert closing.attempt == 2


async def test_a_released_turn_is_offered_again(house: GatewayHouse) -> None:
    await house.send("hello")
    first, reply = await house.taken()
    command = ReleaseTurn(claim=reply.claim, slot_sequence=first.sequence)
    await house.worker.request(op.TURNS_RELEASE, command)

    async def offered_again() -> bool:
        found = await house.slots.peek("t")
        return found is not None and found.sequence != first.sequence

    await eventually(offered_again)
    await house.taken()


async def test_fifty_megabytes_of_history_pass_the_bus_in_pages(house: GatewayHouse) -> None:
    text = "x" * 90_000
    page = tuple(ImportMessage(role="user", text=text) for _ in range(40))
    for number in range(14):
        command = ImportThread(id="long", messages=page, offset=number * 40, last=number == 13)
        await house.owner.request(op.THREADS_IMPORT, command)
    await house.send("and now?", "long")
    _, reply = await house.taken("long")
    count, before = len(reply.history), reply.history_before
    while before is not None:
        request = ReadHistory(claim=reply.claim, before=before)
        older = await house.worker.request(op.TURNS_HISTORY, request)
        count, before = count + len(older.messages), older.before
    assert count == 14 * 40 + 1


async def test_an_import_that_was_given_up_is_forgotten_within_hours(house: GatewayHouse) -> None:
    page = ImportThread(id="i", messages=(ImportMessage(role="user", text="old"),), last=False)
    await house.owner.request(op.THREADS_IMPORT, page)
    house.clock.advance(8 * 3_600)
    await house.gateway.sweep()
    with pytest.raises(NotFound):
        await house.view("i")


async def test_sign_in_and_out(house: GatewayHouse, broker: Broker) -> None:
    web = await PatientBus.connect(broker.context("web"), name="web")
    signed_in = await web.request(op.SESSIONS_SIGN_IN, SignIn(token=TOKEN, label="Firefox"))
    checked = await web.request(op.SESSIONS_CHECK, CheckSession(secret=signed_in.secret))
    assert checked.id == signed_in.id
    assert (await web.request(op.SESSIONS_CHECK, CheckSession(token=TOKEN))).id == "token"
    with pytest.raises(Invalid):
        await web.request(op.SESSIONS_CHECK, CheckSession())
    await web.request(op.SESSIONS_REVOKE, SessionRef(id=signed_in.id))
    assert (await web.request(op.SESSIONS_LIST, Empty())).sessions == ()
    with pytest.raises(Unauthorized):
        await web.request(op.SESSIONS_CHECK, CheckSession(secret=signed_in.secret))
    for refusal in [Unauthorized] * 5 + [TooMany]:
        with pytest.raises(refusal):
            await web.request(op.SESSIONS_SIGN_IN, SignIn(token="wrong"))
    await web.close()


async def test_status_and_usage_count_what_happened(house: GatewayHouse) -> None:
    await house.send("one")
    await house.answer()
    await house.next_event("message_ready")
    await house.send("two")
    await house.send("three")
    claim = Claim(turn_id="none", attempt=1, claim="none")
    await house.worker.request(op.WORKERS_BEAT, Beat(worker_id="w1", claims=(claim,)))
    status = await house.owner.request(op.SYSTEM_STATUS, Empty())
    assert (status.threads, status.turns.dispatched, status.turns.queued) == (1, 1, 1)
    assert [worker.worker_id for worker in status.workers] == ["w1"]
    assert status.turns.oldest_wait_s is not None
    for by, key in (("agent", "parley"), ("thread", "t"), ("model", "")):
        usage = await house.owner.request(op.SYSTEM_USAGE, ReadUsage.model_validate({"by": by}))
        assert [(row.key, row.turns) for row in usage.rows] == [(key, 1)]
    days = await house.owner.request(op.SYSTEM_USAGE, ReadUsage())
    assert len(days.rows) == 1


async def test_what_is_not_there_is_said_in_a_sentence(house: GatewayHouse) -> None:
    with pytest.raises(NotFound, match="There is no thread nowhere"):
        await house.send("hello", "nowhere")


async def test_two_gateways_share_one_postgresql_without_doubling_or_forgetting(
    postgres: ContainerPostgres, broker: Broker
) -> None:
    url = postgres.emptied()
    async with (
        running_gateway(url, broker, Clock()) as one,
        running_gateway(url, broker, Clock()) as two,
        one.working(room=4),
        two.working(room=4),
    ):
        names = [f"t{number}" for number in range(6)]
        for name in names:
            await one.owner.request(op.THREADS_CREATE, CreateThread(id=name))

        async def talk(name: str) -> None:
            for number in range(5):
                await one.send(f"q{number}", name, client_id=f"c{number}")

        await asyncio.gather(*(talk(name) for name in names))

        async def all_answered() -> bool:
            views = [await two.view(name) for name in names]
            return all(view.thread.head == 10 and not view.thread.open_turn for view in views)

        await eventually(all_answered)
        for name in names:
            texts = [message.text for message in (await two.view(name)).messages]
            assert texts == [f"{case}{number}" for number in range(5) for case in "qQ"]
