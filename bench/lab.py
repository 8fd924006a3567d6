"""What all measurements share: the systems, their files, and how often to repeat."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TypeVar

from bench.conversations import Turn
from bench.systems import Model, Parley, Relay, System, running_parley

T = TypeVar("T")

BURST = "tokens-100"
"""The model without delay."""
PACED = "tokens-20-at-50"
PACED_LONG = "tokens-100-at-50"
WARM_UP_TURNS = 3


@dataclass
class Lab:
    """The model and the relay run throughout; each measurement starts Parleys of its own."""

    model: Model
    relay: Relay
    folder: Path
    quick: bool = False
    _numbers: count[int] = field(default_factory=count)

    def times(self, full: int, quick: int) -> int:
        """Return how often to do something."""
        return quick if self.quick else full

    def new_folder(self) -> Path:
        """Make a folder."""
        folder = self.folder / str(next(self._numbers))
        folder.mkdir()
        return folder

    def parley(self, *options: str, **variables: str) -> AbstractAsyncContextManager[Parley]:
        """Run a Parley on a data folder of its own."""
        return running_parley(self.model, self.new_folder(), *options, **variables)


async def by_turns(
    systems: Iterable[System], rounds: int, measure: Callable[[System], Awaitable[list[T]]]
) -> dict[str, list[T]]:
    """Measure one system after the other, round after round; return the results by name."""
    measured = tuple(systems)
    found: dict[str, list[T]] = {each.name: [] for each in measured}
    for _ in range(rounds):
        for each in measured:
            found[each.name] += await measure(each)
    return found


async def conversation(system: System, model: str, turns: int) -> list[Turn]:
    """Have a conversation of so many turns. Raises TurnFailed."""
    talk = await system.converse(model)
    try:
        return [await talk.turn() for _ in range(turns)]
    finally:
        talk.close()


async def warm_up(*systems: System) -> None:
    """Let every system do once what it does only once."""
    for each in systems:
        await conversation(each, BURST, WARM_UP_TURNS)
