"""Faults inside a worker end the turn that meets them with a reason, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from agent_worker.reading import answered, failed
from agent_worker.stage import Client, Stage, client, worker_settings
from parley_agent_worker.claims import Claims
from parley_agent_worker.handlers import Handlers
from parley_agent_worker.models.base import (
    Chunk,
    FinishChunk,
    ModelRequest,
    TextChunk,
    UsageChunk,
)
from parley_agent_worker.models.providers import Choice, Providers
from parley_agent_worker.skills import Skill, SkillLibrary
from parley_bus import Bus, SlotQueue
from parley_contracts.subjects import TURNS
from parley_contracts.turns import Usage


class FaultyProviders(Providers):
    """Providers of faulty models; one comes to a cancellation which nobody has wished."""

    async def choose(self, name: str) -> Choice:
        if name == "echo:cancelled":
            raise asyncio.CancelledError
        if name == "echo:excessive":
            return Choice(name, Excessive(), "excessive")
        return await super().choose(name)


class Excessive:
    """A model whose tokens are more than can be stored."""

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Chunk, None]:
        yield TextChunk("words")
        yield UsageChunk(Usage(input_tokens=10**30))
        yield FinishChunk("stop")


class FaultyLibrary(SkillLibrary):
    """A library that fails for whoever wants a skill."""

    def enabled(self, names: Sequence[str]) -> tuple[Skill, ...]:  # type: ignore[override]
        if names:
            raise RuntimeError("a fault")
        return ()


@pytest.fixture
async def talking(stage: Stage) -> AsyncIterator[Client]:
    """A client of a gateway whose one worker is this process, with faults in it."""
    stage.start_gateway()
    async with client(stage) as connected, _worker(stage, stage.skills):
        yield connected


@asynccontextmanager
async def _worker(stage: Stage, skills: Path) -> AsyncIterator[None]:
    bus = await Bus.connect(stage.broker.context("agent-worker"), name="agent-worker")
    providers = FaultyProviders(worker_settings())
    library = FaultyLibrary([skills])
    handlers = Handlers(bus, "w", Claims(bus, "w"), providers, library, tools={})
    consumer = SlotQueue(bus, TURNS).consume(handlers.answer, room=1)
    yield
    await consumer.stop(0.0)
    await handlers.close()
    await providers.close()
    await bus.close()


@pytest.mark.parametrize("fault", [{"model": "echo:cancelled"}, {"skills": ["any"]}])
async def test_a_fault_fails_the_turn_that_meets_it_and_the_next_is_answered(
    talking: Client, fault: dict[str, object]
) -> None:
    closing = failed(await talking.ask("hi", **{"model": "echo:echo", **fault}))
    assert closing.error.kind == "internal"
    assert "A fault of the worker ended this turn" in closing.error.detail
    assert answered(await talking.ask("hello", model="echo:echo")).text == "hello"


async def test_tokens_that_no_database_can_keep_do_not_hold_up_the_answer(talking: Client) -> None:
    assert answered(await talking.ask("hi", model="echo:excessive")).text == "words"
