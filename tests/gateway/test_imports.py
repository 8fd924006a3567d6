"""Import: history in pages, each taken once, in order."""

from __future__ import annotations

import pytest
from gateway_store import Store
from parley_contracts.errors import Conflict, NotFound
from parley_contracts.messages import MessageRef, UpdateMessage
from parley_contracts.threads import ImportMessage, ImportThread, ListThreads, Thread
from parley_gateway.store import imports, listing, messages, waiting
from parley_gateway.store.index import index_some


def conversation(start: int, count: int) -> tuple[ImportMessage, ...]:
    return tuple(
        ImportMessage(role="agent" if number % 2 else "user", text=f"m{number}")
        for number in range(start, start + count)
    )


async def take(store: Store, offset: int, count: int, *, last: bool, id: str = "i") -> Thread:
    page = conversation(offset, count)
    command = ImportThread(id=id, messages=page, offset=offset, last=last)
    return await store.run(imports.take_page, command)


async def test_a_thread_is_imported_page_by_page(store: Store) -> None:
    await take(store, 0, 4, last=False)
    with pytest.raises(Conflict, match="still being imported"):
        await store.send("hello", "i")
    listed = await store.query(listing.list_threads, ListThreads())
    assert [thread.id for thread in listed.threads] == ["t"]
    assert (await take(store, 4, 3, last=True)).head == 7
    assert await store.texts("i") == [f"m{number}" for number in range(7)]
    assert store.events()[-1] == "thread_changed"


async def test_a_conversation_goes_on_after_an_import(store: Store) -> None:
    await take(store, 0, 2, last=True)
    await store.exchange("next", "answer", "i")
    view = await store.view("i")
    assert [message.position for message in view.messages] == [1, 2, 3, 4]
    assert view.thread.title == "m0"


async def test_rule_18_a_page_that_was_taken_is_ignored(store: Store) -> None:
    await take(store, 0, 4, last=False)
    await take(store, 0, 4, last=False)
    await take(store, 2, 4, last=True)
    again = await take(store, 2, 4, last=True)
    assert again.head == 6
    assert await store.texts("i") == [f"m{number}" for number in range(6)]


async def test_a_missing_page_is_refused(store: Store) -> None:
    await take(store, 0, 2, last=False)
    with pytest.raises(Conflict, match="A page is missing"):
        await take(store, 4, 2, last=True)


async def test_an_import_takes_no_other_threads_id(store: Store) -> None:
    with pytest.raises(Conflict, match="another thread"):
        await take(store, 0, 2, last=True, id="t")


async def test_imported_authors_are_known_agents(store: Store) -> None:
    page = (ImportMessage(role="agent", text="hello", agent_id="echo"),)
    await store.run(imports.take_page, ImportThread(id="i", messages=page))
    assert (await store.view("i")).messages[0].agent_id == "echo"
    with pytest.raises(NotFound, match="no agent nobody"):
        unknown = (ImportMessage(role="agent", text="hello", agent_id="nobody"),)
        await store.run(imports.take_page, ImportThread(id="j", messages=unknown))


async def test_an_empty_thread_can_be_imported(store: Store) -> None:
    thread = await store.run(imports.take_page, ImportThread(id="i", title="Empty"))
    assert (thread.title, thread.head) == ("Empty", 0)


async def test_rule_1_an_imported_message_waits_no_more(store: Store) -> None:
    await take(store, 0, 1, last=True)
    [imported] = (await store.view("i")).messages
    with pytest.raises(Conflict, match="no longer waiting"):
        await store.run(waiting.change, UpdateMessage(id=imported.id, text="other"))
    for command in (waiting.remove, messages.send_now):
        with pytest.raises(Conflict, match="no longer waiting"):
            await store.run(command, MessageRef(id=imported.id))


@pytest.mark.parametrize("indexed", [True, False])
async def test_an_import_that_was_given_up_leaves_nothing(store: Store, indexed: bool) -> None:
    await take(store, 0, 4, last=True, id="done")
    await take(store, 0, 4, last=False, id="slow")
    await take(store, 0, 4, last=False, id="given-up")
    if indexed:
        await store.run(index_some)
    store.clock.advance(5 * 3_600)
    await take(store, 4, 0, last=False, id="slow")
    store.clock.advance(2 * 3_600)
    await store.run(imports.purge_abandoned)
    rows = await store.rows("SELECT id FROM threads ORDER BY id")
    assert rows == [("done",), ("slow",), ("t",)]
    assert await store.count("messages") == 8
    await store.thread("later", title="untitled")
    for _ in range(4):
        await store.exchange("anew", "new", "later")
    await take(store, 4, 1, last=True, id="slow")
    await store.run(index_some)
    found = await store.query(listing.list_threads, ListThreads(q="m1"))
    assert {each.id for each in found.threads} == {"done", "slow"}


async def test_an_import_that_was_given_up_can_be_begun_anew(store: Store) -> None:
    await take(store, 0, 4, last=False)
    store.clock.advance(24 * 3_600)
    await store.run(imports.purge_abandoned)
    with pytest.raises(Conflict, match="A page is missing"):
        await take(store, 4, 4, last=False)
    await take(store, 0, 2, last=True)
    assert await store.texts("i") == ["m0", "m1"]
