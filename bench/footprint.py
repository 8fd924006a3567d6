"""What Parley takes of the machine: memory, and time until it answers for the first time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

from bench.lab import BURST, Lab, conversation
from bench.load import TURNS_A_CONVERSATION
from bench.processes import ROOT, Memory
from bench.report import Row, Target, median
from bench.systems import System, running_parley, running_relay

SETTLE_S = 3.0
USERS = 10


async def memory(lab: Lab) -> list[Row]:
    """Measure the memory of all processes after a start and after 1,000 turns.

    The very first start, which makes the tables, loads what no later one needs.
    """
    rows: list[Row] = []
    folder = lab.new_folder()
    async with running_parley(lab.model, folder) as first:
        await asyncio.sleep(lab.times(1, 0) * SETTLE_S)
        rows += _rows("idle after the first start", (first,))
    async with running_relay(lab.model) as relay, running_parley(lab.model, folder) as parley:
        systems: tuple[System, ...] = (relay, parley)
        await asyncio.sleep(lab.times(1, 0) * SETTLE_S)
        rows += _rows("idle", systems, Target(at_most=200))
        turns = lab.times(1000, 20)
        for each in systems:
            await _turns(each, turns)
        rows += _rows(f"after {turns:,} turns", systems)
    return rows


async def _turns(system: System, turns: int) -> None:
    users = min(USERS, turns)
    conversations = max(turns // users // TURNS_A_CONVERSATION, 1)
    length = turns // users // conversations
    for _ in range(conversations):
        await asyncio.gather(*(conversation(system, BURST, length) for _ in range(users)))


def _rows(when: str, systems: tuple[System, ...], target: Target | None = None) -> list[Row]:
    held: Mapping[str, Mapping[str, Memory]] = {
        each.name: each.program.memory() for each in systems
    }
    pss = {name: sum(memory.pss for memory in of.values()) for name, of in held.items()}
    rss = {name: sum(memory.rss for memory in of.values()) for name, of in held.items()}
    parts = sorted(held["parley"].items(), key=lambda part: -part[1].pss)
    note = ", ".join(f"{name.split()[0]} {memory.pss:.0f}" for name, memory in parts)
    return [
        Row(f"memory {when}, PSS", "MiB", pss, target, note, details={"processes": _plain(held)}),
        Row(f"memory {when}, RSS", "MiB", rss),
    ]


def _plain(held: Mapping[str, Mapping[str, Memory]]) -> dict[str, dict[str, dict[str, float]]]:
    return {
        name: {process: {"pss": each.pss, "rss": each.rss} for process, each in of.items()}
        for name, of in held.items()
    }


async def cold_start(lab: Lab) -> list[Row]:
    """Measure from the command to the end of the first answer: on no data, and on earlier data."""
    fresh: dict[str, list[float]] = {"relay": [], "parley": []}
    again: dict[str, list[float]] = {"relay": [], "parley": []}
    for _ in range(lab.times(5, 1)):
        folder = lab.new_folder()
        for found in (fresh, again):
            found["relay"].append(await _relay_start(lab))
            found["parley"].append(await _parley_start(lab, folder))
    return [
        _start_row("fresh", fresh, Target(at_most=3)),
        _start_row("again", again, Target(at_most=2)),
    ]


def _start_row(which: str, found: Mapping[str, list[float]], target: Target) -> Row:
    values = {name: median(each) for name, each in found.items()}
    return Row(f"cold start to first answer, {which}", "s", values, target)


async def _relay_start(lab: Lab) -> float:
    began = time.monotonic()
    async with running_relay(lab.model) as relay:
        return await _first_answer(relay, began)


async def _parley_start(lab: Lab, folder: Path) -> float:
    began = time.monotonic()
    async with running_parley(lab.model, folder, command=(ROOT / "parley",)) as parley:
        return await _first_answer(parley, began)


async def _first_answer(system: System, began: float) -> float:
    await conversation(system, BURST, 1)
    return time.monotonic() - began
