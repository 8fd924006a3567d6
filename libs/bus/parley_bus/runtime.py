"""What every service's `__main__` shares: settings, logs, signals, and the way out.

A service starts its parts in order and stops them in reverse::

    def main() -> None:
        run("gateway", serve)

    async def serve(stop: asyncio.Event) -> None:
        settings = GatewaySettings()
        bus = await Bus.connect(settings.context(), name="gateway")
        ...
        await stop.wait()
        ...
        await bus.close()
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import uvloop
from parley_contracts.errors import Invalid, ParleyError
from parley_contracts.sentences import what_is_wrong
from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from parley_bus import tracing
from parley_bus.context import NatsContext, check_url

CANCEL_AGAIN_S = 0.25
GARBAGE = (20_000, 20, 50)
"""How many new objects bring on a search for garbage, and how many searches a deeper one."""

log = logging.getLogger(__name__)


def _nats_url(url: str | None) -> str | None:
    if url:
        check_url(url)
    return url


class ServiceSettings(BaseSettings):
    """Settings of all services, from the environment; Invalid names the variable that is wrong.

    PARLEY_SETTINGS may name a folder with a file for each variable that the environment must not
    show, under the variable's name.
    """

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True)

    nats_context: Path = Field(validation_alias="PARLEY_NATS_CONTEXT")
    nats_url: Annotated[str | None, AfterValidator(_nats_url)] = Field(
        default=None, validation_alias="NATS_URL"
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(_secrets_dir=os.environ.get("PARLEY_SETTINGS"), **values)
        except ValidationError as error:
            raise _wrong_setting(error) from None

    def context(self) -> NatsContext:
        """Return where NATS is and who we are there."""
        return NatsContext.read(self.nats_context).at(self.nats_url)


def _wrong_setting(error: ValidationError) -> Invalid:
    first = error.errors(include_url=False, include_input=False)[0]
    variable = str(first["loc"][0]) if first["loc"] else "a setting"
    match first["type"]:
        case "missing":
            reason = "it is not set"
        case "value_error":
            reason = str(first["ctx"]["error"])
        case _:
            reason = f"it {what_is_wrong(first)}"
    return Invalid(f"The environment variable {variable} is wrong: {reason}.", field=variable)


def run(service: str, main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run a service until it ends; SIGTERM or SIGINT asks it to, a second one kills.

    The signal sets the event; as long as nobody waits for the event, the service is still starting
    and is cancelled. Returns after an orderly end; leaves with exit code 1 and one line in the log
    when `main` raises: a ParleyError's sentence, or the traceback of any other fault.
    """
    try:
        configure_logs(service)
        _search_for_garbage_rarely()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_stopped(main))
    except ParleyError as error:
        log.critical("%s", error.detail)
        sys.exit(1)
    except Exception:
        log.critical("the service ends by a fault of ours", exc_info=True)
        sys.exit(1)


def _search_for_garbage_rarely() -> None:
    """Leave what is loaded by now out of the search for cyclic garbage, and let that come seldom.

    By default it walks through all modules again and again, in the middle of answers.
    """
    gc.freeze()
    gc.set_threshold(*GARBAGE)


class _Stop(asyncio.Event):
    """The event of `run`; knows whether anybody waits for it."""

    awaited = False

    async def wait(self) -> Literal[True]:
        self.awaited = True
        return await super().wait()


async def _until_stopped(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stop = _Stop()
    loop = asyncio.get_running_loop()
    serving = asyncio.ensure_future(main(stop))

    def on_signal() -> None:
        stop.set()
        if not stop.awaited:
            serving.cancel()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)

    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, on_signal)
    await asyncio.wait([serving])
    if not serving.cancelled():
        serving.result()


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks that run for ever, and wait until they have ended.

    Once may not be enough: `asyncio.wait_for` of Python 3.11, on which nats-py builds, swallows a
    cancellation that comes in the moment in which what it waits for is done.
    """
    pending = set(tasks)
    while pending:
        for each in pending:
            each.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)


def sign_of_life() -> None:
    """Touch the file that PARLEY_HEALTH_FILE names, if it does: all that we need has just answered.

    A health check looks at the file's age.
    """
    if path := os.environ.get("PARLEY_HEALTH_FILE"):
        Path(path).touch(mode=0o600)


def configure_logs(service: str) -> None:
    """Send all logs to stderr, one line a record, from the level PARLEY_LOG_LEVEL on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line(service))
    root = logging.getLogger()
    root.handlers = [handler]
    level = os.environ.get("PARLEY_LOG_LEVEL", "INFO").upper()
    if level not in logging.getLevelNamesMapping():
        raise Invalid(f"PARLEY_LOG_LEVEL is {level}; set it to DEBUG, INFO, WARNING or ERROR.")
    root.setLevel(level)


class _Line(logging.Formatter):
    """Time, level, service, trace id, words; a traceback's lines are joined."""

    def __init__(self, service: str) -> None:
        super().__init__(f"%(asctime)s.%(msecs)03d %(levelname)s {service} %(trace)s %(message)s")
        self.datefmt = "%Y-%m-%dT%H:%M:%S"

    def format(self, record: logging.LogRecord) -> str:
        record.trace = tracing.trace_id() or "-"
        return super().format(record).replace("\n", " | ")
