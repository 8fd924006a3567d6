"""How a service starts and ends: settings, signals, exit codes, logs."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from parley_bus.context import NatsContext
from parley_bus.runtime import ServiceSettings, end
from parley_contracts.errors import Invalid, Unavailable

SERVICE = """
import asyncio, logging, time
from parley_bus import Bus, NatsContext
from parley_bus.runtime import ServiceSettings, run
from parley_contracts.errors import Conflict

async def serve(stop):
{body}

run("demo", serve)
print("ended", flush=True)
"""

Start = Callable[..., Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start a service whose `serve` has this body, with these variables."""
    made: list[asyncio.subprocess.Process] = []

    async def from_body(body: str, **environment: str) -> asyncio.subprocess.Process:
        indented = "\n".join(f"    {line}" for line in body.splitlines())
        made.append(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                SERVICE.format(body=indented),
                env={**os.environ, **environment},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        )
        return made[-1]

    yield from_body
    for each in made:
        if each.returncode is None:
            each.kill()
            await each.wait()


async def line(service: asyncio.subprocess.Process) -> bytes:
    assert service.stdout
    return await service.stdout.readline()


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_a_service_orderly(start: Start, by: signal.Signals) -> None:
    service = await start(
        "print('up', flush=True)\nawait stop.wait()\nprint('stopping', flush=True)"
    )
    assert await line(service) == b"up\n"
    service.send_signal(by)
    output, _ = await service.communicate()
    assert output == b"stopping\nended\n"
    assert service.returncode == 0


async def test_a_second_signal_ends_it_at_once(start: Start) -> None:
    service = await start(
        "print('up', flush=True)\nawait stop.wait()\nprint('stopping', flush=True)\n"
        "await asyncio.Event().wait()"
    )
    assert await line(service) == b"up\n"
    service.terminate()
    assert await line(service) == b"stopping\n"
    service.terminate()
    assert await service.wait() == -signal.SIGTERM


async def test_a_signal_during_the_start_gives_the_start_up(start: Start) -> None:
    service = await start(
        "try:\n"
        "    print('up', flush=True)\n"
        "    await Bus.connect(NatsContext(url='nats://127.0.0.1:1'), name='demo')\n"
        "finally:\n"
        "    print('tidied', flush=True)"
    )
    assert await line(service) == b"up\n"
    service.terminate()
    output, _ = await service.communicate()
    assert output == b"tidied\nended\n"
    assert service.returncode == 0


async def test_a_refusal_ends_it_with_one_clear_line(start: Start) -> None:
    service = await start("raise Conflict('The data folder is in use; stop the other Parley.')")
    output, errors = await service.communicate()
    assert (service.returncode, output) == (1, b"")
    assert (
        errors.decode()
        .splitlines()[0]
        .endswith("CRITICAL demo - The data folder is in use; stop the other Parley.")
    )
    assert errors.count(b"\n") == 1


async def test_a_fault_ends_it_with_its_traceback_in_one_line(start: Start) -> None:
    service = await start("raise ZeroDivisionError('what nobody expected')")
    _, errors = await service.communicate()
    assert service.returncode == 1
    assert errors.count(b"\n") == 1
    assert b"what nobody expected" in errors


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"PARLEY_NATS_CONTEXT": ""}, b"PARLEY_NATS_CONTEXT"),
        ({"PARLEY_NATS_CONTEXT": "/no/such/file"}, b"/no/such/file"),
        ({"PARLEY_LOG_LEVEL": "chatty"}, b"PARLEY_LOG_LEVEL"),
    ],
)
async def test_a_wrong_setting_is_named_in_one_line(
    start: Start, environment: dict[str, str], named: bytes
) -> None:
    service = await start("ServiceSettings().context()", **environment)
    _, errors = await service.communicate()
    assert service.returncode == 1
    assert named in errors
    assert errors.count(b"\n") == 1


async def test_a_log_line_has_time_level_service_trace_and_words(start: Start) -> None:
    service = await start(
        "from parley_bus import tracing\n"
        "tracing.begin()\n"
        "logging.getLogger('x').warning('first\\nsecond %s', 'word')\n"
        "logging.getLogger('x').debug('not shown')"
    )
    _, errors = await service.communicate()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} WARNING demo [0-9a-f]{32} first \| second word\n",
        errors.decode(),
    )


def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARLEY_NATS_CONTEXT", raising=False)
    with pytest.raises(Invalid, match="PARLEY_NATS_CONTEXT is wrong: it is not set"):
        ServiceSettings()


def test_nats_url_names_another_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "web.json"
    path.write_text('{"url": "nats://a:1", "user": "web", "password": "p", "description": "x"}')
    monkeypatch.setenv("PARLEY_NATS_CONTEXT", str(path))
    monkeypatch.delenv("NATS_URL", raising=False)
    assert ServiceSettings().context().url == "nats://a:1"
    monkeypatch.setenv("NATS_URL", "nats://b:2")
    assert ServiceSettings().context() == NatsContext(url="nats://b:2", user="web", password="p")


def test_a_password_in_the_url_is_not_shown() -> None:
    context = NatsContext(url="nats://me:s3cret@a:1,nats://b:2")
    assert context.address == "a:1,nats://b:2"


@pytest.mark.parametrize("content", [None, "no json", "[]", '{"url": 7}'])
def test_an_unusable_context_file_is_said(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "web.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(Unavailable, match=r"web\.json"):
        NatsContext.read(path)


async def test_a_task_that_swallows_a_cancellation_is_ended_all_the_same() -> None:
    for_ever = asyncio.Event()

    async def stubborn() -> None:
        with suppress(asyncio.CancelledError):
            await for_ever.wait()
        await for_ever.wait()

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)  # until it waits
    await end(task)
    assert task.cancelled()
