"""Forks share history and copy none of it (rules 2 and 3)."""

from __future__ import annotations

import pytest
from gateway_store import Store
from parley_contracts.errors import Conflict, NotFound
from parley_contracts.messages import EditMessage, RegenerateMessage
from parley_contracts.threads import (
    Accepted,
    ForkThread,
    ImportMessage,
    ImportThread,
    ListThreads,
    Siblings,
    Thread,
    ThreadRef,
    UpdateThread,
)
from parley_gateway.store import forks, imports, listing, threads
from parley_gateway.store.transaction import Transaction


async def fork(store: Store, id: str, thread: str = "t", message: str | None = None) -> Thread:
    return await store.run(forks.fork, ForkThread(thread_id=thread, message_id=message, id=id))


async def edit(store: Store, message: str, text: str, thread: str) -> Accepted:
    command = EditMessage(
        id=message, text=text, thread_id=thread, message_id=f"{thread}-m", turn_id=f"{thread}-t"
    )
    return await store.run(forks.edit, command)


def fork_often(tx: Transaction, parent: str, times: int) -> str:
    """Fork the newest fork again and again; return the last one's id."""
    for _ in range(times):
        parent = forks.fork(tx, ForkThread(thread_id=parent)).id
    return parent


async def message_at(store: Store, position: int, thread: str = "t") -> str:
    page = (await store.view(thread, limit=500)).messages
    return next(message.id for message in page if message.position == position)


async def history(store: Store, *questions: str) -> None:
    for question in questions:
        await store.exchange(question, f"to {question}")


async def test_rule_2_a_fork_includes_the_named_message(store: Store) -> None:
    await history(store, "a", "b")
    made = await fork(store, "f", message=await message_at(store, 3))
    assert (made.head, made.parent and made.parent.position) == (3, 3)
    assert await store.texts("f") == ["a", "to a", "b"]


async def test_rule_2_a_fork_goes_on_by_itself(store: Store) -> None:
    await history(store, "a")
    await fork(store, "f")
    await store.exchange("in the fork", "there", "f")
    await store.exchange("in the parent", "here")
    assert await store.texts("f") == ["a", "to a", "in the fork", "there"]
    assert await store.texts() == ["a", "to a", "in the parent", "here"]
    positions = [message.position for message in (await store.view("f")).messages]
    assert positions == [1, 2, 3, 4]


async def test_rule_2_a_fork_at_the_end_sees_the_running_turns_question_only(store: Store) -> None:
    turn = (await store.send("running")).turn
    claim = (await store.begin(turn.id)).claim
    await store.send("waiting")
    await fork(store, "f")
    await store.finish(claim, "the answer")
    assert await store.texts("f") == ["running"]


async def test_rule_2_a_waiting_message_cannot_be_forked_at(store: Store) -> None:
    accepted = await store.send()
    with pytest.raises(Conflict, match="still waits"):
        await fork(store, "f", message=accepted.message.id)


async def test_rule_2_forking_at_an_inherited_message_makes_its_owner_the_parent(
    store: Store,
) -> None:
    await history(store, "a", "b")
    await fork(store, "f")
    await store.exchange("own", "own answer", "f")
    inherited = await fork(store, "g", "f", await message_at(store, 2, "f"))
    own = await fork(store, "h", "f", await message_at(store, 5, "f"))
    assert inherited.parent and inherited.parent.thread_id == "t"
    assert own.parent and own.parent.thread_id == "f"
    assert await store.texts("g") == ["a", "to a"]
    assert await store.texts("h") == ["a", "to a", "b", "to b", "own"]


async def test_rule_2_a_fork_of_ten_thousand_messages_adds_no_message(store: Store) -> None:
    page = tuple(ImportMessage(role="user", text=f"m{number}") for number in range(10_000))
    await store.run(imports.take_page, ImportThread(id="long", messages=page))
    await fork(store, "f", "long")
    assert await store.count("messages") == 10_000
    assert (await store.texts("f"))[-1] == "m9999"


async def test_rule_2_a_fork_a_thousand_levels_deep_shows_its_whole_history(store: Store) -> None:
    await history(store, "root")
    parent = "t"
    for quarter in range(4):
        parent = await store.run(fork_often, parent, 250)
        await store.exchange(f"q{quarter}", f"a{quarter}", parent)
    expected = ["root", "to root", "q0", "a0", "q1", "a1", "q2", "a2", "q3", "a3"]
    assert await store.texts(parent) == expected
    below = await store.view(parent, before=5, limit=2)
    assert [message.text for message in below.messages] == ["q0", "a0"]


async def test_rule_17_deleting_a_parent_takes_no_fork_its_history(store: Store) -> None:
    await history(store, "a")
    await fork(store, "f")
    await store.run(threads.delete, ThreadRef(id="t"))
    assert await store.texts("f") == ["a", "to a"]
    await store.exchange("more", "yes", "f")
    assert await store.texts("f") == ["a", "to a", "more", "yes"]


async def test_rule_18_the_same_fork_again_returns_the_first(store: Store) -> None:
    await history(store, "a")
    first = await fork(store, "f")
    assert await fork(store, "f") == first
    with pytest.raises(Conflict, match="fresh one"):
        await fork(store, "f", message=await message_at(store, 1))


async def test_a_message_of_another_thread_cannot_be_forked_at(store: Store) -> None:
    await history(store, "a")
    await store.thread("other")
    await store.exchange("elsewhere", thread="other")
    foreign = await message_at(store, 1, "other")
    with pytest.raises(NotFound, match="does not show"):
        await fork(store, "f", message=foreign)
    await fork(store, "f", message=await message_at(store, 1))
    await store.exchange("later in the parent")
    with pytest.raises(NotFound, match="does not show"):
        await fork(store, "g", "f", await message_at(store, 4))


async def test_rule_3_an_edit_is_a_sibling_fork_before_the_message(store: Store) -> None:
    await history(store, "a", "b")
    accepted = await edit(store, await message_at(store, 3), "b, but better", "e")
    assert accepted.thread and accepted.thread.sibling
    assert accepted.turn.status == "open"
    await store.answer(accepted.turn.id, "better answer")
    assert await store.texts("e") == ["a", "to a", "b, but better", "better answer"]
    assert await store.texts() == ["a", "to a", "b", "to b"]


async def test_rule_3_the_first_message_can_be_edited(store: Store) -> None:
    await history(store, "a")
    for name in ("e1", "e2"):
        accepted = await edit(store, await message_at(store, 1), name, name)
        await store.answer(accepted.turn.id)
    third = await edit(store, await message_at(store, 1, "e2"), "e3", "e3")
    assert third.thread and third.thread.parent and third.thread.parent.thread_id == "t"
    expected = (Siblings(position=0, threads=("t", "e1", "e2", "e3")),)
    for each in ("t", "e1", "e2"):
        assert (await store.view(each)).siblings == expected


async def test_rule_3_versions_are_grouped_by_their_fork_position(store: Store) -> None:
    await history(store, "a", "b")
    second = await message_at(store, 3)
    await edit(store, second, "b1", "e1")
    await edit(store, second, "b2", "e2")
    expected = (Siblings(position=2, threads=("t", "e1", "e2")),)
    assert (await store.view()).siblings == expected
    assert (await store.view("e1")).siblings == expected
    assert (await store.view(limit=1)).siblings == ()


async def test_rule_3_deleted_versions_are_not_shown(store: Store) -> None:
    await history(store, "a")
    first = await message_at(store, 1)
    for name in ("e1", "e2", "e3"):
        await edit(store, first, name, name)
    await store.run(threads.delete, ThreadRef(id="e2"))
    await store.run(threads.delete, ThreadRef(id="t"))
    assert (await store.view("e1")).siblings == (Siblings(position=0, threads=("e1", "e3")),)
    await store.run(threads.delete, ThreadRef(id="e3"))
    assert (await store.view("e1")).siblings == ()


async def listed(store: Store) -> list[str]:
    found = await store.query(listing.list_threads, ListThreads())
    return sorted(thread.id for thread in found.threads)


async def test_rule_3_the_version_that_was_used_last_stands_in_the_list_for_all(
    store: Store,
) -> None:
    await history(store, "a")
    first = await message_at(store, 1)
    for name in ("e1", "e2"):
        await edit(store, first, name, name)
    assert await listed(store) == ["e2"]
    await store.exchange("goes on here", "answer", "t")
    assert await listed(store) == ["t"]
    await store.run(threads.delete, ThreadRef(id="t"))
    assert await listed(store) == ["e2"]
    await store.run(threads.delete, ThreadRef(id="e2"))
    assert await listed(store) == ["e1"]
    await store.run(threads.restore, ThreadRef(id="t"))
    assert await listed(store) == ["t"]


async def test_rule_3_a_version_of_a_version_is_of_the_same_family(store: Store) -> None:
    await history(store, "a")
    accepted = await edit(store, await message_at(store, 1), "b", "e1")
    await store.answer(accepted.turn.id)
    await edit(store, await message_at(store, 1, "e1"), "c", "e2")
    await fork(store, "f", "e1")
    families = {each: (await store.view(each)).thread.family for each in ("t", "e1", "e2", "f")}
    assert families == {"t": "t", "e1": "t", "e2": "t", "f": "f"}


async def test_versions_are_renamed_and_archived_together(store: Store) -> None:
    await history(store, "a")
    await edit(store, await message_at(store, 1), "b", "e")
    await store.run(threads.change, UpdateThread(id="t", title="New", status="archived"))
    assert await listed(store) == []
    thread = (await store.view("e")).thread
    assert (thread.title, thread.status) == ("New", "archived")


async def test_rule_3_an_inherited_message_of_a_deleted_thread_can_be_asked_anew_and_found(
    store: Store,
) -> None:
    await history(store, "a", "b")
    await fork(store, "f")
    await store.run(threads.delete, ThreadRef(id="t"))
    await edit(store, await message_at(store, 3, "f"), "better", "e")
    expected = (Siblings(position=2, threads=("f", "e")),)
    assert (await store.view("f")).siblings == expected
    assert (await store.view("e")).siblings == expected
    assert await listed(store) == ["e", "f"]


async def test_rule_3_a_fork_of_a_deleted_version_stands_in_its_place(store: Store) -> None:
    await history(store, "a")
    accepted = await edit(store, await message_at(store, 1), "better", "e")
    await store.answer(accepted.turn.id)
    await fork(store, "f", "e")
    await store.run(threads.delete, ThreadRef(id="e"))
    expected = (Siblings(position=0, threads=("t", "f")),)
    assert (await store.view("t")).siblings == expected
    assert (await store.view("f")).siblings == expected


async def test_rule_3_a_forks_own_first_message_has_its_versions(store: Store) -> None:
    await history(store, "a", "b")
    await fork(store, "f", message=await message_at(store, 2))
    await store.exchange("own", "own answer", "f")
    assert (await store.view("f")).siblings == ()
    await edit(store, await message_at(store, 3, "f"), "own, but better", "e")
    expected = (Siblings(position=2, threads=("t", "f", "e")),)
    for each in ("t", "f", "e"):
        assert (await store.view(each)).siblings == expected


async def test_rule_3_regenerating_asks_the_question_anew(store: Store) -> None:
    await history(store, "a", "b")
    command = RegenerateMessage(id=await message_at(store, 4), thread_id="r", agent_id="echo")
    accepted = await store.run(forks.regenerate, command)
    assert (accepted.message.text, accepted.message.agent_id) == ("b", "echo")
    await store.answer(accepted.turn.id, "another answer")
    assert await store.texts("r") == ["a", "to a", "b", "another answer"]
    expected = (Siblings(position=2, threads=("t", "r"), answers=True),)
    assert (await store.view("r")).siblings == expected


async def test_rule_3_only_questions_are_edited_and_only_answers_regenerated(store: Store) -> None:
    await history(store, "a")
    with pytest.raises(Conflict, match="Only a question"):
        await edit(store, await message_at(store, 2), "x", "e")
    with pytest.raises(Conflict, match="Only an agent's"):
        command = RegenerateMessage(id=await message_at(store, 1))
        await store.run(forks.regenerate, command)


async def test_rule_18_the_same_edit_again_returns_the_first(store: Store) -> None:
    await history(store, "a")
    message = await message_at(store, 1)
    first = await edit(store, message, "better", "e")
    again = await edit(store, message, "better", "e")
    assert again.repeated
    assert (again.message.id, again.turn.id) == (first.message.id, first.turn.id)
    assert again.thread and again.thread.id == "e"
    with pytest.raises(Conflict):
        await edit(store, message, "something else", "e")


@pytest.mark.parametrize("used", ["thread_id", "message_id", "turn_id"])
async def test_rule_18_an_edit_with_a_used_id_is_refused(store: Store, used: str) -> None:
    await history(store, "a")
    message = await message_at(store, 1)
    first = await edit(store, message, "better", "e")
    ids = {"thread_id": "e", "message_id": first.message.id, "turn_id": first.turn.id}
    command = EditMessage.model_validate({"id": message, "text": "better", used: ids[used]})
    with pytest.raises(Conflict, match="fresh one"):
        await store.run(forks.edit, command)
    assert await store.count("threads") == 2


async def test_rule_18_the_same_regeneration_again_returns_the_first(store: Store) -> None:
    await history(store, "a")
    command = RegenerateMessage(id=await message_at(store, 2), thread_id="r")
    first = await store.run(forks.regenerate, command)
    again = await store.run(forks.regenerate, command)
    assert again.repeated
    assert (again.message.id, again.turn.id) == (first.message.id, first.turn.id)
