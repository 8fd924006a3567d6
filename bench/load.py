"""Many users at once: turns a second, processor time a turn, and streams at a reader's pace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from bench.conversations import Conversation, Turn, TurnFailed
from bench.lab import BURST, PACED_LONG, Lab, by_turns, warm_up
from bench.report import Row, Target, median, percentile
from bench.systems import System

TURNS_A_CONVERSATION = 20
"""Then a user begins anew, so that prompts stay as long as people's are."""
STREAMS = 50


@dataclass(frozen=True)
class Load:
    """What a system did for some seconds under some users."""

    turns: int
    failures: tuple[str, ...]
    seconds: float
    cpu_ms: float


async def under_load(system: System, users: int, seconds: float) -> list[Load]:
    """Let so many users talk without a pause; return one Load."""
    failures: list[str] = []
    cpu, began = system.program.cpu_ms(), time.monotonic()
    until = began + seconds
    turns = await asyncio.gather(*(_user(system, until, failures) for _ in range(users)))
    elapsed = time.monotonic() - began
    cpu = system.program.cpu_ms() - cpu
    return [Load(sum(turns), tuple(failures), elapsed, cpu)]


async def _user(system: System, until: float, failures: list[str]) -> int:
    """Talk until then; return how many turns succeeded."""
    turns = 0
    while time.monotonic() < until:
        try:
            talk = await system.converse(BURST)
            turns += await _talk(talk, until)
        except (TurnFailed, OSError) as error:
            failures.append(str(error))
    return turns


async def _talk(talk: Conversation, until: float) -> int:
    try:
        for turn in range(TURNS_A_CONVERSATION):
            if time.monotonic() > until:
                return turn
            await talk.turn()
        return TURNS_A_CONVERSATION
    finally:
        talk.close()


async def many_users(lab: Lab) -> list[Row]:
    """Measure the throughput of each system under 10 and 50 users."""
    rows: list[Row] = []
    async with lab.parley() as parley:
        systems = (lab.model, lab.relay, parley)
        await warm_up(*systems)
        for users in (10, 50):
            measure = partial(under_load, users=users, seconds=lab.times(5, 1))
            loads = await by_turns(systems, lab.times(4, 1), measure)
            rows += load_rows(f"{users} users", loads, Target(at_least=100))
            if users == 10:
                rows.append(_cpu(loads))
    return rows


def load_rows(what: str, loads: dict[str, list[Load]], target: Target | None = None) -> list[Row]:
    """Return the rows on throughput and failures."""
    rates = {name: median(each.turns / each.seconds for each in of) for name, of in loads.items()}
    failures = {name: [why for each in of for why in each.failures] for name, of in loads.items()}
    failed = {name: float(len(each)) for name, each in failures.items()}
    why = "; ".join(sorted(set(failures["parley"])))[:200]
    return [
        Row(f"turns/s, {what}", "", rates, target),
        Row(f"failed turns, {what}", "", failed, Target(at_most=0), why, {"why": failures}),
    ]


def _cpu(loads: dict[str, list[Load]]) -> Row:
    a_turn = {name: median(each.cpu_ms / each.turns for each in of) for name, of in loads.items()}
    return Row("processor time a turn, 10 users", "ms", a_turn, Target(at_most=15))


async def paced_streams(lab: Lab) -> list[Row]:
    """Measure 50 streams that begin at once, 50 tokens a second each."""
    async with lab.parley() as parley:
        systems = (lab.model, lab.relay, parley)
        await warm_up(*systems)
        turns = await by_turns(systems, lab.times(4, 1), _streams)
    first = {name: [turn.overhead for turn in of] for name, of in turns.items()}
    delays = {name: [ms for turn in of for ms in turn.delays] for name, of in turns.items()}

    def row(figure: str, of: dict[str, list[float]], share: float, target: float) -> Row:
        values = {name: percentile(each, share) for name, each in of.items()}
        return Row(f"{STREAMS} paced streams: {figure}", "ms", values, Target(at_most=target))

    return [
        row("first token, overhead p50", first, 0.5, 120),
        row("relay delay a token p50", delays, 0.5, 1.4),
        row("relay delay a token p95", delays, 0.95, 6.4),
    ]


async def _streams(system: System) -> list[Turn]:
    with ExitStack() as stack:
        talks: Sequence[Conversation] = await asyncio.gather(
            *(system.converse(PACED_LONG) for _ in range(STREAMS))
        )
        for talk in talks:
            stack.callback(talk.close)
        return await asyncio.gather(*(talk.turn() for talk in talks))
