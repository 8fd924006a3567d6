"""What is done to the house: kill, freeze, restart, wipe, and strikes at failpoints.

Faults are dealt from shuffled decks, so that each kind comes up early, and over a long run each
failpoint. A freeze lasts longer than every timeout; other faults go on meanwhile.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from random import Random
from typing import TypeVar

from parley_bus.failpoints import FAILPOINTS, Failpoint, arm

from chaos.house import POLL_S, House, Place
from chaos.records import Fault

T = TypeVar("T")

KINDS = ("kill", "kill", "restart", "freeze", "point", "point", "stop at point", "wipe")
SIGNALS = {"kill": signal.SIGKILL, "restart": signal.SIGTERM, "freeze": signal.SIGSTOP}
EVERYTHING = "everything"
PAUSES_S = ((0.2, 2.5), (5.0, 12.0))
"""Mostly a fault finds the house still busy with the one before, now and then at rest."""
PAUSE_WEIGHTS = (4, 1)
FREEZE_S = {
    "nats": (16.0, 19.0),  # connections are given up after three silent pings, 15 s
    "agent-worker": (12.0, 24.0),  # long enough for its turns to be taken over
}
USUAL_FREEZE_S = (11.0, 15.0)
"""Leases, requests, acknowledgements and pulls end within 10 s."""
POINT_LIMIT_S = 6.0
"""A point that nobody passes for so long is disarmed."""
ALIVE_LIMIT_S = 40.0
RELEASES: tuple[Failpoint, ...] = ("release.before", "release.after")
"""Points that are passed only when a worker stops in good order."""
WORKER_POINTS = ("begin", "event.send", "record", "tool", "finish", "release", "acknowledge")


class Faults:
    """Deals faults; `done` are those that struck. `spare_workers` tells when to spare workers."""

    def __init__(
        self, house: House, random: Random, spare_workers: Callable[[], Awaitable[bool]]
    ) -> None:
        self.done: list[Fault] = []
        self._house = house
        self._random = random
        self._spare_workers = spare_workers
        self._kinds = self._deck(KINDS)
        self._points = self._deck(FAILPOINTS)
        self._numbers = Counter(service for service, _ in house.places)
        self._targets = self._deck((*self._numbers, "agent-worker", EVERYTHING))
        self._frozen: dict[Place, asyncio.Task[None]] = {}

    def _deck(self, cards: Sequence[T]) -> Iterator[T]:
        """Yield the cards shuffled, again and again."""
        while True:
            yield from self._random.sample(cards, len(cards))

    async def strike(self) -> Fault | None:
        """Wait a moment and do the next thing; return it, None when it met nobody."""
        await asyncio.sleep(self._random.uniform(*self._pause()))
        match next(self._kinds):
            case "point":
                return await self._at_point(next(self._points), signal.SIGKILL)
            case "stop at point":
                return await self._at_point(next(self._points), signal.SIGSTOP)
            case "wipe":
                return await self._wipe()
            case kind:
                target = next(self._targets)
                strike = self._everything if target == EVERYTHING else self._service
                return await strike(kind, target)

    def _pause(self) -> tuple[float, float]:
        return self._random.choices(PAUSES_S, PAUSE_WEIGHTS)[0]

    async def end(self) -> None:
        """Let everything that is frozen go on, each in its time."""
        await asyncio.gather(*self._frozen.values())

    async def _service(self, kind: str, service: str) -> Fault | None:
        place = self._one_of(service)
        if place in self._frozen or (service == "agent-worker" and await self._spare_workers()):
            return None
        pid = await self._alive(*place)
        if pid is None:
            return None
        number = f" {place[1] + 1}" if self._numbers[service] > 1 else ""
        fault = self._note(kind, service + number)
        await self._house.send(place, pid, SIGNALS[kind])
        if kind == "freeze":
            self._thaw_later(fault, place, pid, self._freeze_s(service))
        return fault

    def _one_of(self, service: str) -> Place:
        number = self._numbers[service]
        return service, self._random.randrange(number) if number > 1 else 0

    async def _everything(self, kind: str, target: str) -> Fault | None:
        """As when the machine loses its power, shuts down, or sleeps."""
        if self._frozen or await self._spare_workers():
            return None
        fault = self._note(kind, target)
        if kind != "freeze":
            await self._house.restart(SIGNALS[kind])
            return fault
        seconds = self._freeze_s(target)
        for place, pid in self._house.running():
            await self._house.send(place, pid, signal.SIGSTOP)
            self._thaw_later(fault, place, pid, seconds)
        return fault

    async def _wipe(self) -> Fault | None:
        if any(service == "nats" for service, _ in self._frozen) or not await self._alive(
            "nats", 0
        ):
            return None
        fault = self._note("wipe", "nats")
        await self._house.wipe()
        return fault

    async def _at_point(self, point: Failpoint, by: signal.Signals) -> Fault | None:
        """Arm a point and wait until somebody passes it."""
        if point.startswith(WORKER_POINTS) and await self._spare_workers():
            return None
        armed = arm(self._house.points, point, by)
        if point in RELEASES:
            place = self._one_of("agent-worker")
            if pid := await self._alive(*place):
                await self._house.send(place, pid, signal.SIGTERM)
        deadline = time.monotonic() + POINT_LIMIT_S
        while armed.exists():
            if time.monotonic() > deadline:
                armed.unlink(missing_ok=True)
                return None
            await asyncio.sleep(POLL_S)
        fault = self._note("kill at" if by == signal.SIGKILL else "freeze at", point)
        if by == signal.SIGSTOP:
            await self._thaw_what_stopped(fault)
        return fault

    async def _thaw_what_stopped(self, fault: Fault) -> None:
        known = {place: self._house.pid(*place) for place in self._frozen}
        deadline = time.monotonic() + POINT_LIMIT_S
        while time.monotonic() < deadline:
            for place, pid in self._house.frozen():
                if known.get(place) != pid:
                    fault.target += f" ({place[0]})"
                    self._thaw_later(fault, place, pid, self._freeze_s(place[0]))
                    return
            await asyncio.sleep(POLL_S)

    def _freeze_s(self, service: str) -> float:
        return self._random.uniform(*FREEZE_S.get(service, USUAL_FREEZE_S))

    def _thaw_later(self, fault: Fault, place: Place, pid: int, seconds: float) -> None:
        async def thaw() -> None:
            await asyncio.sleep(seconds)
            if self._house.pid(*place) == pid:
                await self._house.send(place, pid, signal.SIGCONT)
            fault.ended_at = time.time()
            del self._frozen[place]

        self._frozen[place] = asyncio.create_task(thaw())

    async def _alive(self, service: str, number: int) -> int | None:
        with suppress(TimeoutError):
            async with asyncio.timeout(ALIVE_LIMIT_S):
                return await self._house.alive(service, number)
        return None

    def _note(self, kind: str, target: str) -> Fault:
        self.done.append(fault := Fault(time.time(), kind, target))
        return fault
