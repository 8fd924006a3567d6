"""What becomes of messages: accepted once, in order, changeable until their turn begins."""

from __future__ import annotations

import pytest
from gateway_store import Store
from parley_contracts.errors import Conflict, Gone, NotFound
from parley_contracts.messages import MessageRef, UpdateMessage
from parley_contracts.threads import ThreadRef, UpdateThread
from parley_contracts.turns import CancelTurn
from parley_gateway.store import messages, stopping, threads, waiting


async def test_a_message_is_accepted_with_its_turn(store: Store) -> None:
    accepted = await store.send("hello")
    assert accepted.message.status == "queued"
    assert accepted.message.position is None
    assert accepted.turn.status == "open"
    assert not accepted.repeated
    assert store.events() == ["message_accepted", "thread_changed"]
    assert [put.turn_id for put in store.puts()] == [accepted.turn.id]


async def test_the_second_message_waits_behind_the_first(store: Store) -> None:
    await store.send("one")
    second = await store.send("two")
    assert second.turn.status == "queued"
    assert store.last_event("turn_queued").ahead == 1
    assert len(store.puts()) == 1


async def test_rule_1_positions_are_dense_and_given_in_the_order_of_turns(store: Store) -> None:
    accepted = [await store.send(f"q{number}") for number in range(3)]
    for each in accepted:
        await store.answer(each.turn.id, f"a to {each.message.text}")
    page = (await store.view()).messages
    assert [message.position for message in page] == [1, 2, 3, 4, 5, 6]
    assert [message.text for message in page] == [
        *("q0", "a to q0", "q1", "a to q1", "q2", "a to q2")
    ]


async def test_rule_1_waiting_messages_are_listed_last_and_outside_history(store: Store) -> None:
    first = await store.send("one")
    await store.begin(first.turn.id)
    await store.send("two")
    await store.send("three")
    view = await store.view()
    assert [message.text for message in view.messages] == ["one"]
    assert [(each.text, each.status) for each in view.queued] == [
        *(("two", "queued"), ("three", "queued"))
    ]
    assert view.thread.queued == 2


async def test_rule_1_a_waiting_message_can_be_changed_until_its_turn_begins(store: Store) -> None:
    accepted = await store.send("first thought")
    changed = await store.run(waiting.change, UpdateMessage(id=accepted.message.id, text="better"))
    assert changed.text == "better"
    granted = await store.begin(accepted.turn.id)
    assert granted.message.text == "better"
    with pytest.raises(Conflict, match="no longer waiting"):
        await store.run(waiting.change, UpdateMessage(id=accepted.message.id, text="too late"))


async def test_a_message_taken_back_leaves_no_trace_in_history(store: Store) -> None:
    first = await store.send("one")
    second = await store.send("two")
    await store.run(waiting.remove, MessageRef(id=second.message.id))
    await store.answer(first.turn.id)
    assert await store.texts() == ["one", "answer"]
    assert store.last_event("message_changed").removed
    assert store.last_event("turn_cancelled").turn_id == second.turn.id
    with pytest.raises(NotFound):
        await store.run(waiting.remove, MessageRef(id=second.message.id))


async def test_taking_back_the_next_message_opens_the_one_behind_it(store: Store) -> None:
    first = await store.send("one")
    second = await store.send("two")
    await store.run(waiting.remove, MessageRef(id=first.message.id))
    assert (await store.view()).thread.open_turn == second.turn.id
    await store.answer(second.turn.id)
    assert await store.texts() == ["two", "answer"]


async def test_rule_18_the_same_client_id_again_returns_the_first_result(store: Store) -> None:
    first = await store.send("hello", client_id="c1")
    again = await store.send("hello", client_id="c1")
    assert again.repeated
    assert (again.message.id, again.turn.id) == (first.message.id, first.turn.id)
    assert await store.count("messages") == 1


async def test_rule_18_a_repeat_is_known_after_the_message_was_changed(store: Store) -> None:
    first = await store.send("hello", client_id="c1")
    await store.run(waiting.change, UpdateMessage(id=first.message.id, text="changed"))
    assert (await store.send("hello", client_id="c1")).message.text == "changed"


@pytest.mark.parametrize("fields", [{"client_id": "c1"}, {"id": "m2"}])
@pytest.mark.parametrize("way", ["remove", "stop"])
async def test_rule_18_a_late_copy_of_what_was_taken_back_is_not_taken_in(
    store: Store, fields: dict[str, str], way: str
) -> None:
    await store.send("one")
    first = await store.send("two", **fields)
    if way == "remove":
        await store.run(waiting.remove, MessageRef(id=first.message.id))
    else:
        await store.run(stopping.cancel, CancelTurn(id=first.turn.id))
    late = await store.send("two", **fields)
    assert (late.repeated, late.turn.id, late.turn.status) == (True, first.turn.id, "cancelled")
    assert [each.text for each in (await store.view()).queued] == ["one"]
    with pytest.raises(Conflict):
        await store.send("something else", **fields)


@pytest.mark.parametrize("fields", [{"client_id": "c1"}, {"id": "m1"}])
async def test_rule_18_the_same_id_with_other_content_is_refused(
    store: Store, fields: dict[str, str]
) -> None:
    await store.send("hello", **fields)
    with pytest.raises(Conflict):
        await store.send("something else", **fields)


async def test_rule_18_a_used_turn_id_is_refused(store: Store) -> None:
    await store.send("hello", turn_id="u1")
    with pytest.raises(Conflict, match="fresh one"):
        await store.send("something else", turn_id="u1")
    assert await store.count("messages") == 1


async def test_a_client_id_belongs_to_its_thread(store: Store) -> None:
    await store.thread("other")
    await store.send("hello", client_id="c1")
    assert not (await store.send("hello", "other", client_id="c1")).repeated


async def test_a_message_may_be_for_another_agent_by_id_or_handle(store: Store) -> None:
    assert (await store.send("hello", agent_id="echo")).message.agent_id == "echo"
    assert (await store.send("hello")).message.agent_id == "parley"
    with pytest.raises(NotFound, match="no agent nobody"):
        await store.send("hello", agent_id="nobody")


async def test_an_unknown_a_deleted_and_an_archived_thread(store: Store) -> None:
    with pytest.raises(NotFound, match="no thread nowhere"):
        await store.send("hello", "nowhere")
    await store.run(threads.change, UpdateThread(id="t", status="archived"))
    await store.send("hello")
    assert (await store.view()).thread.status == "active"
    await store.run(threads.delete, ThreadRef(id="t"))
    with pytest.raises(Gone, match="restore"):
        await store.send("hello")


async def test_send_now_puts_a_message_first(store: Store) -> None:
    running = await store.send("one")
    await store.begin(running.turn.id)
    await store.send("two")
    urgent = await store.send("urgent")
    await store.run(messages.send_now, MessageRef(id=urgent.message.id))
    view = await store.view()
    assert [message.text for message in view.queued] == ["urgent", "two"]
    assert view.turn is not None
    assert view.turn.status == "cancelling"
    assert not view.thread.paused


async def test_send_now_is_next_once_the_running_turn_has_stopped(store: Store) -> None:
    running = await store.send("one")
    granted = await store.begin(running.turn.id)
    await store.send("two")
    urgent = await store.send("urgent")
    await store.run(messages.send_now, MessageRef(id=urgent.message.id))
    await store.finish(granted.claim, "half an ans", outcome="cancelled")
    view = await store.view()
    assert view.thread.open_turn == urgent.turn.id
    assert view.messages[-1].status == "stopped"


async def test_send_now_resumes_a_paused_queue(store: Store) -> None:
    running = await store.send("one")
    await store.send("two")
    urgent = await store.send("urgent")
    await store.run(stopping.cancel, CancelTurn(id=running.turn.id))
    assert (await store.view()).thread.paused
    await store.run(messages.send_now, MessageRef(id=urgent.message.id))
    thread = (await store.view()).thread
    assert (thread.paused, thread.open_turn) == (False, urgent.turn.id)


async def test_rule_17_send_now_waits_for_a_deleted_threads_restoration(store: Store) -> None:
    await store.send("one")
    waiting_one = await store.send("two")
    await store.run(threads.delete, ThreadRef(id="t"))
    with pytest.raises(Gone, match="restore"):
        await store.run(messages.send_now, MessageRef(id=waiting_one.message.id))
    restored = await store.run(threads.restore, ThreadRef(id="t"))
    assert (restored.paused, restored.queued) == (True, 1)
    await store.run(messages.send_now, MessageRef(id=waiting_one.message.id))
    assert (await store.view()).thread.open_turn == waiting_one.turn.id


TEXTS = {
    "emoji": "👩\u200d👩\u200d👧 and 🏳️\u200d🌈",
    "right to left": "שלום עולם",
    "control": "tab\t, bell \x07 and \x1b[31mred",
    "unnormalised": "ﬀ ligature, e\u0301",
    "long": "x" * 100_000,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_text_survives_as_it_was_written(store: Store, text: str) -> None:
    accepted = await store.send(text)
    await store.answer(accepted.turn.id, text)
    assert await store.texts() == [text, text]


async def test_a_thread_with_very_much_waiting_can_be_opened(store: Store) -> None:
    for number in range(30):
        await store.send(f"{number} " + "x" * 99_000)
    view = await store.view()
    assert view.thread.queued == 29
    assert [message.text[:2] for message in view.queued[:3]] == ["0 ", "1 ", "2 "]
    assert len(view.encode()) < 4_000_000
