"""Threads of 10 to 100,000 messages: opened, forked, answered in, searched."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from bench.lab import PACED, Lab, warm_up
from bench.report import Row, Target, median
from bench.systems import Parley, System
from bench.wire import Connection

LENGTHS = (10, 1_000, 10_000, 100_000)
FIRST_TOKEN_TARGETS = {1_000: Target(at_most=15), 10_000: Target(at_most=60)}
OPEN_TARGET, FORK_TARGET = Target(at_most=10), Target(at_most=5)
SEARCH_THREADS = 20
INDEX_LIMIT_S = 300.0
WORDS = """
the of and to in is that it was for on are with as his they at be this from have or by one had not
but what all were when we there can an your which their said if do will each about how up out them
then she many some so these would other into has more her two like him see time could no make than
first been its who now people my made over did down only way find use may water long little very
"""


async def long_threads(lab: Lab) -> list[Row]:
    """Measure opening, forking and answering in threads of every length."""
    lengths = LENGTHS[: lab.times(len(LENGTHS), 2)]
    texts = {length: _texts(length) for length in lengths}
    async with lab.parley() as parley:
        await warm_up(lab.model, lab.relay, parley)
        threads = {length: await parley.imported(texts[length]) for length in lengths}
        page = await parley.connect()
        opened = await _timed(lab, threads, lambda thread: _open(page, thread))
        forked = await _timed(lab, threads, lambda thread: _fork(page, thread))
        page.close()
        rows = [
            *_rows("open a thread of {:,}", opened, OPEN_TARGET),
            *_rows("fork a thread of {:,}", forked, FORK_TARGET),
        ]
        for length in lengths:
            systems = (lab.model, lab.relay, parley)
            rows.append(await _first_token(lab, systems, texts[length]))
    return rows


def _texts(count: int) -> list[str]:
    """Return texts as long as people's messages, the same in each run."""
    words = 2 * WORDS.split()
    return [" ".join(words[each % 71 : each % 71 + 5 + each % 20]) for each in range(count)]


async def _timed(
    lab: Lab, threads: Mapping[int, str], act: Callable[[str], Awaitable[None]]
) -> dict[int, float]:
    """Do something with each thread by turns; return the median by length, in milliseconds."""
    found: dict[int, list[float]] = {length: [] for length in threads}
    for _ in range(lab.times(30, 3)):
        for length, thread in threads.items():
            began = time.perf_counter()
            await act(thread)
            found[length].append(1000 * (time.perf_counter() - began))
    return {length: median(each) for length, each in found.items()}


async def _open(page: Connection, thread: str) -> None:
    await page.call("GET", f"/api/threads/{thread}")


async def _fork(page: Connection, thread: str) -> None:
    await page.call("POST", f"/api/threads/{thread}/fork", {})


def _rows(figure: str, found: Mapping[int, float], target: Target) -> list[Row]:
    return [
        Row(f"{figure.format(length)} messages p50", "ms", {"parley": ms}, target)
        for length, ms in found.items()
    ]


async def _first_token(lab: Lab, systems: tuple[System, ...], texts: list[str]) -> Row:
    """Measure the first token's overhead where the prompt is the whole history."""
    talks = {each.name: await each.converse(PACED, texts) for each in systems}
    found: dict[str, list[float]] = {name: [] for name in talks}
    sent: dict[str, int] = {}
    for _ in range(lab.times(8, 2)):
        for name, talk in talks.items():
            turn = await talk.turn()
            found[name].append(turn.overhead)
            sent[name] = turn.messages
    for talk in talks.values():
        talk.close()
    values = {name: median(each) for name, each in found.items()}
    figure = f"first token in a thread of {len(texts):,} messages, overhead p50"
    note = "" if sent["parley"] > len(texts) else f"the model got {sent['parley']:,} messages"
    return Row(figure, "ms", values, FIRST_TOKEN_TARGETS.get(len(texts)), note)


async def search(lab: Lab) -> list[Row]:
    """Measure the search for a word that few, many and nearly all of 200,000 messages have."""
    length = lab.times(10_000, 50)
    async with lab.parley() as parley:
        for number in range(SEARCH_THREADS):
            texts = _texts(length)
            texts[0] += f" rare{number}"
            await parley.imported(texts)
        await _indexed(parley, f"rare{SEARCH_THREADS - 1}")
        queries = {"a rare word": "rare7", "a common word": "people", "two words": "people time"}
        found = {query: await _search(lab, parley, query) for query in queries.values()}
    total = f"{SEARCH_THREADS * length:,}"
    return [
        Row(f"search {total} messages for {what}, p50", "ms", {"parley": found[query]})
        for what, query in queries.items()
    ]


async def _search(lab: Lab, parley: Parley, query: str) -> float:
    page = await parley.connect()
    path = f"/api/threads?q={query.replace(' ', '+')}"
    found = []
    for _ in range(lab.times(20, 3)):
        began = time.perf_counter()
        await page.call("GET", path)
        found.append(1000 * (time.perf_counter() - began))
    page.close()
    return median(found)


async def _indexed(parley: Parley, word: str) -> None:
    """Return when the index, which is filled after the commit, has the word."""
    async with asyncio.timeout(INDEX_LIMIT_S):
        while not (await parley.call("GET", f"/api/threads?q={word}"))["threads"]:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.1)
