"""A broker, a gateway and workers as real processes, and a client that talks to them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from broker import Broker
from eventually import PATIENCE_S, eventually
from parley_agent_worker.settings import WorkerSettings
from parley_bus import Bus, Events
from parley_bus.runtime import end
from parley_contracts import operations as op
from parley_contracts.agents import Agent, CreateAgent
from parley_contracts.base import Empty, new_id
from parley_contracts.errors import Unavailable
from parley_contracts.events import CLOSING, AnyEvent, Event
from parley_contracts.messages import SendMessage
from parley_contracts.threads import CreateThread, ImportMessage, ImportThread, ReadThread
from parley_contracts.turns import CancelTurn, Turn, TurnRef
from patient_bus import PatientBus
from pydantic import TypeAdapter

OURS = ("PARLEY_", "NATS_", "LOCAL_", "OPENAI_", "ANTHROPIC_", "OPENROUTER_", "DATABASE_URL")
WORKER = Path(__file__).with_name("worker_program.py")
_EVENT: TypeAdapter[Event] = TypeAdapter(AnyEvent)


class Stage:
    """Processes that a test may start, kill, freeze and start again."""

    def __init__(self, folder: Path, model_url: str) -> None:
        self.folder = folder
        self.skills = folder / "skills"
        self.notes = folder / "notes"
        self._model_url = model_url
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        folder.mkdir(exist_ok=True)
        self.skills.mkdir()
        self.notes.touch()
        self.broker = Broker(folder / "nats")
        self.broker.start()

    def start_gateway(self) -> None:
        """Start the gateway, on the data of before."""
        self._start("gateway", "-m", "parley_gateway", PARLEY_DATA=str(self.folder / "data"))

    def start_worker(self, name: str = "worker", **environment: str) -> None:
        """Start a worker."""
        settings = {
            "PARLEY_WORKER_ID": name,
            "PARLEY_DISCOVER": "off",
            "PARLEY_SKILLS": str(self.skills),
            "PARLEY_GRACE": "0",
            "LOCAL_BASE_URL": self._model_url,
            "NOTES": str(self.notes),
            "HOME": str(self.folder),
        }
        self._start(name, str(WORKER), service="agent-worker", **{**settings, **environment})

    def _start(self, name: str, *command: str, service: str = "", **environment: str) -> None:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
        context = str(self.broker.context_file(service or name))
        with (self.folder / f"{name}.log").open("ab") as output:
            self._processes[name] = subprocess.Popen(
                [sys.executable, *command],
                env={**kept, "PARLEY_NATS_CONTEXT": context, **environment},
                stderr=output,
            )

    def freeze(self, name: str) -> None:
        """Let a process neither work nor die."""
        self._processes[name].send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let a frozen process go on."""
        self._processes[name].send_signal(signal.SIGCONT)

    def kill(self, name: str) -> None:
        """End a process as with kill -9."""
        self._end(name, signal.SIGKILL)

    def stop(self, name: str) -> int:
        """End a process in good order; return its exit code."""
        return self._end(name, signal.SIGTERM)

    def _end(self, name: str, by: signal.Signals) -> int:
        process = self._processes.pop(name)
        process.send_signal(by)
        return process.wait(PATIENCE_S)

    def log(self, name: str) -> str:
        """Return what a process has written."""
        return (self.folder / f"{name}.log").read_text()

    def noted(self) -> list[str]:
        """Return what the tools have done."""
        return self.notes.read_text().splitlines()

    def close(self) -> None:
        """End everything."""
        for name in list(self._processes):
            self.kill(name)
        self.broker.kill()


class Client:
    """What a person's channel does: sends, stops, and follows the events."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.events: list[Event] = []
        self._more = asyncio.Condition()

    async def agent(self, **settings: Any) -> Agent:
        """Make an agent; without other settings it asks the fake model."""
        handle = f"a{new_id()[:12]}"
        wish = {"handle": handle, "name": "Agent", "model": "local:fake", **settings}
        return await self.bus.request(op.AGENTS_CREATE, CreateAgent.model_validate(wish))

    async def thread(self, agent: str = "echo", title: str | None = "A thread") -> str:
        """Make a thread in which an agent answers; return its id.

        With its title given, no model is asked for one, so that scripted answers stay in order.
        """
        wish = CreateThread(agent_id=agent, title=title)
        return (await self.bus.request(op.THREADS_CREATE, wish)).id

    async def imported(self, agent: str, texts: list[str]) -> str:
        """Make a thread with a history, in which user and agent take turns; return its id."""
        thread_id, page = new_id(), 30
        for offset in range(0, len(texts), page):
            messages = [
                ImportMessage(role="agent" if at % 2 else "user", text=text, agent_id=agent)
                for at, text in enumerate(texts[offset : offset + page], start=offset)
            ]
            wish = ImportThread(
                id=thread_id,
                title="Imported",
                agent_id=agent,
                messages=tuple(messages),
                offset=offset,
                last=offset + page >= len(texts),
            )
            await self.bus.request(op.THREADS_IMPORT, wish)
        return thread_id

    async def send(self, thread_id: str, text: str, agent: str | None = None) -> str:
        """Send a message; return its turn's id."""
        message = SendMessage(thread_id=thread_id, text=text, agent_id=agent)
        return (await self.bus.request(op.MESSAGES_SEND, message)).turn.id

    async def ask(self, text: str, **settings: Any) -> list[Event]:
        """Send to a fresh agent (see `agent`) in a fresh thread; return the turn's events."""
        agent = await self.agent(**settings)
        return await self.closed(await self.send(await self.thread(agent.id), text))

    async def cancel(self, turn_id: str) -> Turn:
        """Stop a turn."""
        return await self.bus.request(op.TURNS_CANCEL, CancelTurn(id=turn_id))

    async def turn(self, turn_id: str) -> Turn:
        """Read a turn."""
        return await self.bus.request(op.TURNS_GET, TurnRef(id=turn_id))

    async def title(self, thread_id: str) -> str:
        """Return a thread's title."""
        view = await self.bus.request(op.THREADS_GET, ReadThread(id=thread_id))
        return view.thread.title

    async def closed(self, turn_id: str) -> list[Event]:
        """Return the turn's events when its closing one has come."""
        await self.seen(turn_id, lambda event: event.kind in CLOSING)
        return self.of(turn_id)

    async def seen(self, turn_id: str, wanted: Callable[[Event], bool]) -> Event:
        """Return a turn's first event of the wanted kind, now or when it comes."""

        def found() -> list[Event]:
            return [each for each in self.of(turn_id) if wanted(each)]

        async with asyncio.timeout(PATIENCE_S), self._more:
            await self._more.wait_for(lambda: bool(found()))
            return found()[0]

    async def kind(self, turn_id: str, kind: str) -> Event:
        """Return a turn's first event of a kind, now or when it comes."""
        return await self.seen(turn_id, lambda event: event.kind == kind)

    def of(self, turn_id: str) -> list[Event]:
        """Return a turn's events so far."""
        return [event for event in self.events if event.turn_id == turn_id]

    async def until(self, wanted: Callable[[Event], bool]) -> Event:
        """Return the first event that is wanted, of whatever turn."""
        async with asyncio.timeout(PATIENCE_S), self._more:
            await self._more.wait_for(lambda: any(wanted(each) for each in self.events))
            return next(each for each in self.events if wanted(each))

    async def follow(self, after: int) -> None:
        """Gather events until cancelled."""
        async for record in Events(self.bus).follow(after=after):
            async with self._more:
                self.events.append(_EVENT.validate_json(record.payload))
                self._more.notify_all()


def worker_settings(**settings: Any) -> WorkerSettings:
    """Return settings for parts of a worker that run inside a test, without a look around."""
    return WorkerSettings(nats_context=Path("none.json"), **{"discover": "off", **settings})


@asynccontextmanager
async def client(stage: Stage) -> AsyncIterator[Client]:
    """Connect a client, which hears all events from now on."""
    bus = await PatientBus.connect(stage.broker.context("owner"), name="test")
    await _answering(bus)
    talking = Client(bus)
    following = asyncio.create_task(talking.follow((await Events(bus).bounds())[1]))
    yield talking
    await end(following)
    await bus.close()


async def _answering(bus: Bus) -> None:
    """Return when the gateway answers."""

    async def answers() -> bool:
        try:
            await bus.request(op.SYSTEM_STATUS, Empty(), timeout=5)
            await Events(bus).bounds()
        except Unavailable:
            return False
        return True

    await eventually(answers)
