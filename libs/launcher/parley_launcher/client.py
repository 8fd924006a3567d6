"""The owner at the terminal: a connection of his own to the house that runs."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, TypeVar

from parley_bus import Bus, NatsContext
from parley_contracts.base import Contract
from parley_contracts.errors import ParleyError, Unavailable
from parley_contracts.operations import Operation
from parley_contracts.sentences import invalid
from pydantic import ValidationError

from parley_launcher.broker import OWNER, context_file
from parley_launcher.errors import Trouble
from parley_launcher.folder import DataFolder

PATIENCE_S = 30.0
PAUSE_S = 0.1
LOOK_S = 2.0

Q = TypeVar("Q", bound=Contract)
R = TypeVar("R")
T = TypeVar("T")


def as_owner(folder: DataFolder, work: Callable[[Bus], Awaitable[int]]) -> int:
    """Connect to the house on this data folder, do the work, return its exit code.

    Raises Trouble when nothing runs there any more, with the sentence of what was refused, or when
    standard output takes nothing; when its reader has gone, it is over.
    """
    started = folder.running()["started_at"]
    try:
        return asyncio.run(_connected(folder, started, work))
    except ParleyError as error:
        raise Trouble(error.detail.removesuffix(".")) from error
    except BrokenPipeError:
        _forget_output()
        return 0
    except OSError as error:
        _forget_output()
        raise Trouble(f"what was said cannot be written: {error.strerror}") from error


async def _connected(
    folder: DataFolder, started: str, work: Callable[[Bus], Awaitable[int]]
) -> int:
    context = NatsContext.read(context_file(folder, OWNER))
    bus = await Bus.connect(context, name=OWNER)
    working = asyncio.ensure_future(work(bus))
    gone = asyncio.create_task(_gone(bus, folder, started))
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Trouble("Parley has stopped; what it accepted goes on when it is started again")
        return working.result()
    finally:
        for each in (working, gone):
            each.cancel()
        await bus.close()


async def _gone(bus: Bus, folder: DataFolder, started: str) -> None:
    """Return when the house that we are connected to runs no more."""
    while True:
        await asyncio.sleep(LOOK_S)
        if not bus.connected and folder.started_at() != started:
            return


def _forget_output() -> None:
    """Let nothing be flushed at exit to where nothing can be written."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def patiently(attempt: Callable[[], Awaitable[T]]) -> T:
    """Return what the attempt returns; while a service is away, try again for half a minute.

    Only for what may be repeated. Raises the last Unavailable.
    """
    until, told = monotonic() + PATIENCE_S, False
    while True:
        try:
            return await attempt()
        except Unavailable as error:
            if monotonic() > until:
                raise
            if not told:
                tell(f"waiting: {error.detail}")
            told = True
        await asyncio.sleep(PAUSE_S)


async def ask(bus: Bus, operation: Operation[Q, R], request: Q) -> R:
    """Request patiently: the callers' ids make a repetition harmless (rule 18)."""
    return await patiently(lambda: bus.request(operation, request))


def checked(kind: type[Q], **values: Any) -> Q:
    """Return the contract with these values. Raises Trouble when one of them cannot be sent."""
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        own = first["type"] == "value_error"
        sentence = str(first["ctx"]["error"]) if own else invalid(error).detail.removesuffix(".")
        raise Trouble(sentence) from error


def tell(words: str) -> None:
    """Say something beside the answer."""
    print(words, file=sys.stderr, flush=True)
