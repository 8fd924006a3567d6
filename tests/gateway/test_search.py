"""Search: what is found, in which threads, and that any text is a query (rule 26)."""

from __future__ import annotations

import asyncio

import pytest
from eventually import eventually
from gateway_store import Store
from hypothesis import given
from hypothesis import strategies as some
from parley_bus.runtime import end
from parley_contracts.threads import (
    ForkThread,
    ListThreads,
    ThreadList,
    ThreadRef,
    UpdateThread,
)
from parley_gateway import indexing
from parley_gateway.store import forks, listing, threads
from parley_gateway.store.index import index_some
from parley_gateway.store.transaction import Transaction
from parley_gateway.store.words import SNIPPET, fold, snippet, terms, words


async def index(store: Store) -> None:
    while await store.run(index_some):
        pass


async def search(store: Store, q: str, **fields: object) -> ThreadList:
    await index(store)
    request = ListThreads.model_validate({"q": q, **fields})
    found: ThreadList = await store.query(listing.list_threads, request)
    return found


async def found(store: Store, q: str, **fields: object) -> list[str]:
    return [thread.id for thread in (await search(store, q, **fields)).threads]


async def say(store: Store, thread: str, text: str) -> None:
    """Say something in a thread whose title does not hold the words."""
    await store.thread(thread, title="untitled")
    await store.exchange(text, "noted", thread)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("The quick brown fox", "quick"),
        ("The quick brown fox", "QUI fox"),
        ("The quick brown fox", '"brown fox"'),
        ("Crème brûlée à la façon", "creme facon"),
        ("Straße und ÜBERMUT", "strasse übermut"),
        ("我们明天去北京", "北京"),
        ("我们明天去北京", "天去"),
        ("東京タワーへ行く", "タワー"),
        ("학교에서 만나요", "학교"),
        ("Привет, мир", "ПРИВЕТ"),
        ("see foo_bar.baz(42)", "foo_bar baz"),
        ("it's 3.14", "3.14"),
    ],
)
async def test_rule_26_words_are_found_as_people_write_them(
    store: Store, text: str, query: str
) -> None:
    await say(store, "hit", text)
    await say(store, "miss", "something else entirely")
    assert await found(store, query) == ["hit"]


@pytest.mark.parametrize("query", ['"quick fox"', "quick missing", "rown", '"brow"'])
async def test_rule_26_every_term_must_be_there(store: Store, query: str) -> None:
    await say(store, "hit", "The quick brown fox")
    assert await found(store, query) == []


@pytest.mark.parametrize("query", ['"', "AND OR NOT", "a* OR (b", "'; --", ":*&|!", "{}^-", "🙂"])
async def test_any_text_is_a_query(store: Store, query: str) -> None:
    await say(store, "s", "plain text")
    assert await found(store, query) == []


async def test_rule_26_newest_first_and_each_thread_once(store: Store) -> None:
    for thread in ("a", "b", "c"):
        await say(store, thread, "needle")
    await store.exchange("another needle", "yes", "a")
    assert await found(store, "needle") == ["a", "c", "b"]


async def test_rule_26_results_are_read_page_by_page(store: Store) -> None:
    await store.thread("titled", title="The needle")
    for number in range(5):
        await say(store, f"n{number}", "needle")
        await store.exchange("needle again", "yes", f"n{number}")
    seen: list[str] = []
    cursor = None
    while True:
        page = await search(store, "needle", limit=2, cursor=cursor)
        seen += [thread.id for thread in page.threads]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == ["titled", "n4", "n3", "n2", "n1", "n0"]


async def test_rule_26_a_rare_thread_is_found_behind_a_chatty_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "FIRST_WINDOW", 2)
    await say(store, "rare", "needle")
    await store.thread("chatty", title="untitled")
    for _ in range(30):
        await store.exchange("needle", "yes", "chatty")
    assert await found(store, "needle") == ["chatty", "rare"]


async def test_rule_26_a_fork_shows_the_hits_that_it_inherits(store: Store) -> None:
    await say(store, "parent", "needle")
    await store.run(forks.fork, ForkThread(thread_id="parent", id="fork"))
    await store.exchange("later thread", "yes", "parent")
    await store.exchange("own pin", "yes", "fork")
    assert sorted(await found(store, "needle")) == ["fork", "parent"]
    assert await found(store, "later") == ["parent"]
    assert await found(store, "pin") == ["fork"]


async def test_rule_26_deleted_threads_are_not_searched_but_archived_ones_are(
    store: Store,
) -> None:
    await say(store, "archived", "needle")
    await say(store, "deleted", "needle")
    await store.run(threads.change, UpdateThread(id="archived", status="archived"))
    await store.run(threads.delete, ThreadRef(id="deleted"))
    assert await found(store, "needle") == ["archived"]


async def test_titles_are_searched(store: Store) -> None:
    await store.thread("titled", title="Über Zürich und 北京")
    for query in ("zurich", "uber zur", "北京"):
        assert await found(store, query) == ["titled"]
    await store.run(threads.change, UpdateThread(id="titled", title="Something else"))
    assert await found(store, "zurich") == []


async def test_a_waiting_message_is_found_once_it_has_its_place(store: Store) -> None:
    await store.thread("s", title="untitled")
    accepted = await store.send("needle", "s")
    assert await found(store, "needle") == []
    await store.begin(accepted.turn.id)
    assert await found(store, "needle") == ["s"]


async def test_a_result_shows_where_the_words_were_found(store: Store) -> None:
    await say(store, "s", "word " * 100 + "the needle\nis here " + "word " * 100)
    text = (await search(store, "needle")).threads[0].snippet
    assert text is not None
    assert "the needle is here" in text
    assert text.startswith("…")
    assert text.endswith("…")


def test_a_snippet_finds_folded_words() -> None:
    assert "ﬃcult" in snippet("x " * 100 + "diﬃcult Ärger", terms("arger"))
    assert len(snippet("x" * 1000, terms("missing"))) <= SNIPPET + 2


@given(some.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert words(fold(text)) == words(text)


@given(some.text(max_size=40))
def test_a_text_is_found_by_itself(text: str) -> None:
    joined = " ".join(words(text))
    for term in terms(text):
        assert " ".join(term.words) in joined


async def test_a_fault_of_the_index_is_tried_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(tx: Transaction) -> bool:
        monkeypatch.setattr(indexing, "index_some", index_some)
        raise OSError("no file descriptor is left")

    monkeypatch.setattr(indexing, "index_some", fail)
    monkeypatch.setattr(indexing, "AFTER_FAILURE_S", 0)
    await store.exchange("hello")

    async def indexed() -> bool:
        return await store.count("unindexed") == 0

    running = asyncio.create_task(indexing.Indexer(store.database.writer).index_forever())
    await eventually(indexed)
    await end(running)
