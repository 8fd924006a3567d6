"""Threads: making, naming, listing, deleting, and what Stop leaves behind."""

from __future__ import annotations

import pytest
from gateway_store import Store
from parley_contracts.errors import Conflict, Gone, Invalid, NotFound
from parley_contracts.threads import ListThreads, NameThread, Thread, ThreadRef, UpdateThread
from parley_contracts.turns import CancelTurn, RetryTurn, Turn
from parley_gateway.store import listing, stopping, threads, turns
from parley_gateway.store.asking import TITLE, provisional_title
from parley_gateway.store.records import lock_thread, save_thread
from parley_gateway.store.transaction import Transaction


async def listed(store: Store, **fields: object) -> list[str]:
    found = await store.query(listing.list_threads, ListThreads.model_validate(fields))
    return [thread.id for thread in found.threads]


async def retry(store: Store, turn_id: str, new: str) -> Turn:
    return await store.run(turns.retry, RetryTurn(id=turn_id, turn_id=new, message_id=f"{new}-m"))


async def change(store: Store, **fields: object) -> Thread:
    command = UpdateThread.model_validate({"id": "t", **fields})
    return await store.run(threads.change, command)


async def test_a_change_to_what_is_there_already_changes_nothing(store: Store) -> None:
    changed = await change(store, title="Mine")
    count = len(store.events())
    assert await change(store, title="Mine", status="active") == changed
    assert len(store.events()) == count


async def test_rule_18_the_same_thread_again_returns_the_first(store: Store) -> None:
    first = await store.thread("new", title="Mine")
    assert await store.thread("new", title="Mine") == first
    with pytest.raises(Conflict, match="fresh one"):
        await store.thread("new", title="Another")


async def test_a_thread_may_start_with_another_agent(store: Store) -> None:
    assert (await store.thread("new", agent_id="echo")).agent_id == "echo"
    with pytest.raises(NotFound, match="no agent nobody"):
        await store.thread("newer", agent_id="nobody")


async def test_the_first_message_gives_a_provisional_title(store: Store) -> None:
    await store.send("How do I bake\nbread at home?")
    assert (await store.view()).thread.title == "How do I bake bread at home?"
    await store.send("And cake?")
    assert (await store.view()).thread.title == "How do I bake bread at home?"


def test_a_provisional_title_ends_at_a_word() -> None:
    title = provisional_title("word " * 40)
    assert len(title) <= TITLE
    assert title.endswith("word…")
    assert len(provisional_title("x" * 200)) <= TITLE


async def test_a_models_title_replaces_a_provisional_one_once(store: Store) -> None:
    await store.send("question")
    named = await store.run(threads.name, NameThread(id="t", title="Baking"))
    assert named.title == "Baking"
    again = await store.run(threads.name, NameThread(id="t", title="Something else"))
    assert again.title == "Baking"


async def test_the_owners_title_wins_for_ever(store: Store) -> None:
    await change(store, title="Mine")
    await store.send("question")
    await store.run(threads.name, NameThread(id="t", title="The model's"))
    assert (await store.view()).thread.title == "Mine"


async def test_a_new_agent_answers_from_the_next_message_on(store: Store) -> None:
    await store.send("before")
    await change(store, agent_id="echo")
    assert (await store.send("after")).message.agent_id == "echo"


async def test_every_change_of_a_thread_bumps_its_rev(store: Store) -> None:
    revs = [(await store.view()).thread.rev]
    turn = (await store.send()).turn
    revs.append((await store.view()).thread.rev)
    claim = (await store.begin(turn.id)).claim
    revs.append((await store.view()).thread.rev)
    await store.finish(claim)
    revs.append((await store.view()).thread.rev)
    assert store.last_event("message_ready").rev == revs[-1]
    assert revs == sorted(set(revs))


async def test_threads_are_listed_by_their_newest_activity(store: Store) -> None:
    for name in ("a", "b", "c"):
        await store.thread(name)
    await store.send("hello", "a")
    assert await listed(store) == ["a", "c", "b", "t"]


async def test_a_list_is_read_page_by_page(store: Store) -> None:
    for number in range(6):
        await store.thread(f"n{number}")
    seen: list[str] = []
    cursor = None
    while True:
        request = ListThreads(limit=3, cursor=cursor)
        page = await store.query(listing.list_threads, request)
        seen += [thread.id for thread in page.threads]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == ["n5", "n4", "n3", "n2", "n1", "n0", "t"]
    with pytest.raises(Invalid, match="cursor"):
        await listed(store, cursor="nonsense")


async def test_archived_and_deleted_threads_have_lists_of_their_own(store: Store) -> None:
    await store.thread("old")
    await store.run(threads.change, UpdateThread(id="old", status="archived"))
    await store.thread("bad")
    await store.run(threads.delete, ThreadRef(id="bad"))
    assert await listed(store) == ["t"]
    assert await listed(store, status="archived") == ["old"]
    assert await listed(store, status="deleted") == ["bad"]


async def test_rule_17_deleting_stops_what_runs_and_pauses(store: Store) -> None:
    running = (await store.send("one")).turn
    claim = (await store.begin(running.id)).claim
    await store.send("two")
    deleted = await store.run(threads.delete, ThreadRef(id="t"))
    assert (deleted.status, deleted.paused) == ("deleted", True)
    assert store.effects[-1].stops == [running.id]
    assert (await store.finish(claim, "half")).status == "cancelled"
    with pytest.raises(Gone):
        await change(store, title="x")


async def test_rule_17_restoring_leaves_the_queue_paused(store: Store) -> None:
    await store.send("one")
    await store.send("two")
    await store.run(threads.delete, ThreadRef(id="t"))
    restored = await store.run(threads.restore, ThreadRef(id="t"))
    assert (restored.status, restored.paused, restored.queued) == ("active", True, 1)
    resumed = await store.run(threads.resume, ThreadRef(id="t"))
    assert (resumed.paused, resumed.queued) == (False, 0)


async def test_repeating_delete_restore_and_resume_changes_nothing(store: Store) -> None:
    for command in (threads.resume, threads.delete, threads.delete):
        last = await store.run(command, ThreadRef(id="t"))
    assert await store.run(threads.delete, ThreadRef(id="t")) == last
    await store.run(threads.restore, ThreadRef(id="t"))
    again = await store.run(threads.restore, ThreadRef(id="t"))
    assert again.rev == (await store.view()).thread.rev


def unpause(tx: Transaction) -> None:
    """Leave the queue as no command does."""
    thread = lock_thread(tx, "t")
    thread.paused = False
    save_thread(tx, thread)


async def test_resuming_starts_a_queue_that_stands_still_without_a_pause(store: Store) -> None:
    running = (await store.send("one")).turn
    second = (await store.send("two")).turn
    await store.run(stopping.cancel, CancelTurn(id=running.id))
    await store.run(unpause)
    resumed = await store.run(threads.resume, ThreadRef(id="t"))
    assert (resumed.open_turn, resumed.queued) == (second.id, 0)
    assert await store.run(threads.resume, ThreadRef(id="t")) == resumed


async def test_a_message_resumes_a_paused_queue_behind_what_waits(store: Store) -> None:
    running = (await store.send("one")).turn
    second = (await store.send("two")).turn
    await store.run(stopping.cancel, CancelTurn(id=running.id))
    await store.send("three")
    view = await store.view()
    assert (view.thread.paused, view.thread.open_turn) == (False, second.id)
    assert [message.text for message in view.queued] == ["two", "three"]


async def test_rule_3_retry_of_the_newest_turn_adds_no_question(store: Store) -> None:
    first = await store.send("question")
    claim = (await store.begin(first.turn.id)).claim
    await store.finish(claim, "", outcome="failed")
    again = await retry(store, first.turn.id, "again")
    assert (again.status, again.message_id) == ("open", first.message.id)
    granted = await store.begin("again")
    assert [message.text for message in granted.history] == ["question"]
    await store.finish(granted.claim, "at last")
    assert await store.texts() == ["question", "", "at last"]


async def fail(store: Store, question: str, text: str = "") -> Turn:
    """Send a message whose turn fails."""
    turn = (await store.send(question)).turn
    return await store.finish((await store.begin(turn.id)).claim, text, outcome="failed")


async def test_rule_3_retry_of_an_older_turn_asks_at_the_end(store: Store) -> None:
    first = await fail(store, "one", "first answer")
    await store.exchange("two", "second answer")
    again = await retry(store, first.id, "again")
    assert again.message_id == "again-m"
    await store.answer("again", "third answer")
    assert await store.texts() == [
        *("one", "first answer", "two", "second answer", "one", "third answer")
    ]


async def test_rule_18_the_same_retry_again_returns_the_first(store: Store) -> None:
    first = await fail(store, "one")
    await retry(store, first.id, "again")
    await retry(store, first.id, "again")
    assert await store.count("turns") == 2
    with pytest.raises(Conflict, match="fresh one"):
        await retry(store, "again", "again")


async def test_a_turn_that_has_its_answer_is_not_answered_twice(store: Store) -> None:
    first = await store.exchange("one", "first")
    with pytest.raises(Conflict, match="regenerate"):
        await retry(store, first.turn.id, "again")
    assert await store.texts() == ["one", "first"]


async def test_a_turn_that_runs_cannot_be_retried(store: Store) -> None:
    turn = (await store.send()).turn
    with pytest.raises(Conflict, match="not finished"):
        await retry(store, turn.id, "again")


async def test_a_retried_turn_that_is_stopped_unbegun_keeps_its_question(store: Store) -> None:
    first = await fail(store, "one", "first")
    await retry(store, first.id, "again")
    await store.run(stopping.cancel, CancelTurn(id="again"))
    assert await store.texts() == ["one", "first", ""]


async def test_a_page_of_messages_says_where_the_older_one_ends(store: Store) -> None:
    for number in range(4):
        await store.exchange(f"q{number}", f"a{number}")
    newest = await store.view(limit=3)
    assert [message.text for message in newest.messages] == ["a2", "q3", "a3"]
    assert newest.before == 6
    in_order = list(dict.fromkeys(message.turn_id for message in newest.messages))
    assert [turn.id for turn in newest.turns] == in_order
    oldest = await store.view(limit=500, before=newest.before)
    assert [message.text for message in oldest.messages] == ["q0", "a0", "q1", "a1", "q2"]
    assert oldest.before is None
    with pytest.raises(NotFound, match="no thread nowhere"):
        await store.view("nowhere")
