"""One run: the house, the people, the listener and the faults together, until all is quiet."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from parley_gateway.store.database import database_url
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from chaos import database, records
from chaos.client import Client, Stuck
from chaos.conversations import Conversation, make_agents
from chaos.faults import KINDS, Faults
from chaos.house import House
from chaos.launched import launched_house
from chaos.listening import Listener
from chaos.pace import Pace
from chaos.records import Sent, Shown
from chaos.scaled import scaled_house

PEOPLE = 12
TURNS_A_FAULT = 15
QUIET_LIMIT_S = 150.0
"""What has not ended so long after the last fault and the last message is stuck."""
HEARD_LIMIT_S = 60.0
POLL_S = 0.2
ASK_LIMIT_S = 2.0


@dataclass(frozen=True)
class Plan:
    """What a run is to do; the seed decides everything that is random."""

    turns: int
    seed: int
    minutes: float | None = None
    scale: bool = False
    """Whether the house is a scaled one."""

    @property
    def faults(self) -> int:
        """At least one of each kind."""
        return max(len(KINDS), math.ceil(self.turns / TURNS_A_FAULT))


async def hurt(plan: Plan, folder: Path) -> list[str]:
    """Do it, leave the records in the folder, and return what kept people from going on."""
    async with _running_house(plan, folder) as house:
        working = asyncio.create_task(_hurt(plan, folder, house))
        fallen = asyncio.create_task(house.fallen())
        try:
            await asyncio.wait((working, fallen), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                return ["the house ended by itself; see up.log"]
        finally:
            for each in (working, fallen):
                each.cancel()
            await asyncio.gather(working, fallen, return_exceptions=True)
        code = await house.stop()
    return [*working.result(), *([f"the house ended with exit code {code}"] if code else [])]


def _running_house(plan: Plan, folder: Path) -> AbstractAsyncContextManager[House]:
    return scaled_house(folder) if plan.scale else launched_house(folder)


async def _hurt(plan: Plan, folder: Path, house: House) -> list[str]:
    sent: list[Sent] = []
    client = Client(house.urls, house.token)
    listener = Listener(client)
    faults = Faults(
        house, Random(f"{plan.seed} faults"), partial(_is_so, database.taken_over, house)
    )
    listening = asyncio.create_task(listener.listen())
    try:
        await make_agents(client)
        troubles = await _talk_and_strike(plan, client, faults, sent)
        await _quiet(house)
        await _heard(house, listener)
        records.write(folder / "shown", await _shown(client, sent))
        _keep(house, folder)
        return troubles
    finally:
        listening.cancel()
        _write(folder, sent, faults, listener)
        await client.close()


async def _talk_and_strike(
    plan: Plan, client: Client, faults: Faults, sent: list[Sent]
) -> list[str]:
    """Let people talk and faults strike in step. Return why somebody could not go on."""
    pace = Pace(plan.turns)
    people = [
        Conversation(f"p{number}", client, pace, Random(f"{plan.seed} {number}"), sent)
        for number in range(1, PEOPLE + 1)
    ]
    talking = asyncio.gather(*(_trouble(each.talk()) for each in people))
    striking = asyncio.create_task(_strike(plan, pace, faults))
    try:
        troubles = [trouble for trouble in await talking if trouble]
        if not troubles:
            await striking
        await faults.end()
        return troubles
    finally:
        striking.cancel()
        await asyncio.gather(striking, return_exceptions=True)


async def _trouble(talk: Awaitable[None]) -> str | None:
    try:
        await talk
    except (Stuck, TimeoutError) as error:
        return str(error) or "a tool's approval was not asked for"
    return None


async def _strike(plan: Plan, pace: Pace, faults: Faults) -> None:
    """Strike as often as planned; each fault releases the turns that it is to hit."""
    began = time.time()
    deadline = time.monotonic() + plan.minutes * 60 if plan.minutes else math.inf
    try:
        for _ in range(plan.faults):
            await pace.release(math.ceil(plan.turns / plan.faults))
            fault = None
            while fault is None and time.monotonic() < deadline:
                fault = await faults.strike()
            if fault is None:
                break
            print(f"{fault.at - began:8.1f} s  {fault}", file=sys.stderr, flush=True)
    finally:
        await pace.end()


async def _is_so(question: Callable[[URL], bool], house: House) -> bool:
    """Ask the database; when it cannot say, because it is hurt itself, the answer is yes."""
    try:
        async with asyncio.timeout(ASK_LIMIT_S):
            return await asyncio.to_thread(question, house.database)
    except (DBAPIError, TimeoutError):
        return True


def _keep(house: House, folder: Path) -> None:
    """Let the database be found where the verdict looks for it."""
    kept = database_url(folder / "data", None)
    if house.database != kept:
        database.copy(house.database, kept)


async def _quiet(house: House) -> None:
    """Wait until every turn has ended and every event is published, or it has taken too long."""
    deadline = time.monotonic() + QUIET_LIMIT_S
    while await _is_so(database.unfinished, house) and time.monotonic() < deadline:
        await asyncio.sleep(POLL_S)


async def _heard(house: House, listener: Listener) -> None:
    """Wait until the listener knows what there is to know, or it has taken too long."""
    ended = {each.id for each in database.read(house.database).turns if each.finished}
    deadline = time.monotonic() + HEARD_LIMIT_S
    while time.monotonic() < deadline:
        if ended <= {each.data.get("turn_id") for each in listener.heard}:
            return
        await asyncio.sleep(POLL_S)


async def _shown(client: Client, sent: list[Sent]) -> list[Shown]:
    """Read every thread through the API."""
    shown = []
    for thread in sorted({each.thread_id for each in sent}):
        exported = await client.demand("GET", f"/api/threads/{thread}/export")
        shown.append(Shown(thread, [each["id"] for each in exported["messages"]]))
    return shown


def _write(folder: Path, sent: list[Sent], faults: Faults, listener: Listener) -> None:
    records.write(folder / "sent", sent)
    records.write(folder / "faults", faults.done)
    records.write(folder / "heard", listener.heard)
