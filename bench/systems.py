"""What is compared: the model itself, the relay in front of it, and a whole Parley."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from bench.conversations import Conversation, StreamedConversation, ThreadConversation
from bench.processes import HOST, Program
from bench.wire import Connection, Refused

LAUNCHER = (sys.executable, "-P", "-m", "parley_launcher")
START_LIMIT_S = 60.0
POLL_S = 0.005
OWN = ("PARLEY_", "NATS_", "LOCAL_", "OPENAI_", "ANTHROPIC_", "OPENROUTER_", "TELEGRAM_")
"""Variables of the developer's own Parley, which the measured one must not see."""


class System(Protocol):
    """Something that one can converse with."""

    name: str
    program: Program

    async def converse(self, model: str, history: Sequence[str] = ()) -> Conversation:
        """Begin a conversation with the fake model of this name."""
        ...


class Model:
    """The fake model, asked directly."""

    name = "direct"

    def __init__(self, program: Program, port: int) -> None:
        self.program = program
        self.port = port

    async def converse(self, model: str, history: Sequence[str] = ()) -> Conversation:
        """Begin a conversation."""
        connection = await Connection.open(HOST, self.port)
        path = "/v1/chat/completions"
        return StreamedConversation(connection, path, b"data: [DONE]", model, history)


class Relay:
    """The relay that stores nothing."""

    name = "relay"

    def __init__(self, program: Program, port: int) -> None:
        self.program = program
        self._port = port

    async def converse(self, model: str, history: Sequence[str] = ()) -> Conversation:
        """Begin a conversation."""
        connection = await Connection.open(HOST, self._port)
        return StreamedConversation(connection, "/chat", b"event: done", model, history)


class Parley:
    """A `./parley up` on a data folder of its own."""

    name = "parley"

    def __init__(self, program: Program, data: Path, token: str) -> None:
        self.program = program
        self.port = 0
        self._data = data
        self._token = token
        self._agents: dict[str, asyncio.Task[str]] = {}

    async def wait(self) -> None:
        """Return when its HTTP interface says that it is ready."""
        async with asyncio.timeout(START_LIMIT_S):
            while not await self._ready():
                if not self.program.running:
                    raise SystemExit(f"parley ended:\n{(self._data.parent / 'log').read_text()}")
                await asyncio.sleep(POLL_S)

    async def _ready(self) -> bool:
        try:
            url = json.loads((self._data / "run.json").read_text())["url"]
            self.port = urlsplit(url).port or 0
            await self.call("GET", "/readyz")
        except (OSError, ValueError, Refused):
            return False
        return True

    async def connect(self) -> Connection:
        """Open a connection to its HTTP interface, signed in. Raises OSError."""
        return await Connection.open(HOST, self.port, self._token)

    async def call(self, method: str, path: str, question: Any = None) -> Any:
        """Call its HTTP interface on a connection for this call alone. Raises OSError, Refused."""
        connection = await self.connect()
        try:
            return await connection.call(method, path, question)
        finally:
            connection.close()

    async def converse(self, model: str, history: Sequence[str] = ()) -> Conversation:
        """Begin a conversation in a thread of its own."""
        agent = await self._agent(model)
        if history:
            thread = await self.imported(history, agent)
        else:
            question = {"title": "A conversation", "agent_id": agent}
            thread = (await self.call("POST", "/api/threads", question))["id"]
        conversation = ThreadConversation(await self.connect(), await self.connect(), thread)
        await conversation.follow()
        return conversation

    async def imported(self, texts: Sequence[str], agent: str | None = None) -> str:
        """Make a thread with these messages, the user's and the agent's by turns; return its id."""
        roles = ("user", "agent")
        messages = [{"role": roles[index % 2], "text": text} for index, text in enumerate(texts)]
        authored = {"agent_id": agent} if agent else {}
        question = {"title": f"{len(texts)} messages", **authored, "messages": messages}
        thread: str = (await self.call("POST", "/api/threads/import", question))["id"]
        return thread

    async def _agent(self, model: str) -> str:
        """Return the agent with this model; the first user makes it, the others wait for it."""
        if model not in self._agents:
            self._agents[model] = asyncio.create_task(self._find_agent(model))
        return await self._agents[model]

    async def _find_agent(self, model: str) -> str:
        known = (await self.call("GET", "/api/agents"))["agents"]
        ids = {each["handle"]: each["id"] for each in known}
        if model in ids:
            return str(ids[model])
        question = {"handle": model, "name": model, "model": f"local:{model}"}
        agent: str = (await self.call("POST", "/api/agents", question))["id"]
        return agent


@asynccontextmanager
async def running_model() -> AsyncIterator[Model]:
    """Run the fake model."""
    program = await Program.python("bench.model")
    try:
        yield Model(program, int(await program.line()))
    finally:
        await program.stop()


@asynccontextmanager
async def running_relay(model: Model) -> AsyncIterator[Relay]:
    """Run the relay in front of it."""
    program = await Program.python("bench.relay", str(model.port))
    try:
        yield Relay(program, int(await program.line()))
    finally:
        await program.stop()


@asynccontextmanager
async def running_parley(
    model: Model,
    folder: Path,
    *options: str,
    command: Sequence[str | Path] = LAUNCHER,
    **variables: str,
) -> AsyncIterator[Parley]:
    """Run a Parley whose provider `local` is the fake model; `folder` may hold an earlier one's
    data."""
    data, token = folder / "data", secrets.token_urlsafe(24)
    ports = ("--web-port", "0", "--admin-port", "0", "--nats-port", "0")
    program = await Program.start(
        *command,
        *("up", "--data", str(data), *ports, *options),
        environment=_environment(model, folder, token, variables),
        log=folder / "log",
    )
    parley = Parley(program, data, token)
    try:
        await parley.wait()
        yield parley
    finally:
        await program.stop()


def _environment(
    model: Model, folder: Path, token: str, variables: Mapping[str, str]
) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
    kept.pop("DATABASE_URL", None)
    own = {
        "PARLEY_ENV_FILE": str(folder / "no.env"),
        "PARLEY_ACCESS_TOKEN": token,
        "PARLEY_DISCOVER": "off",
        "LOCAL_BASE_URL": f"http://{HOST}:{model.port}",
    }
    return {**kept, **own, **variables}
