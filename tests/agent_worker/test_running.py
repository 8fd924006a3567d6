"""One attempt, from inside: what waits for what, and what runs beside what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from agent_worker.grants import granted
from agent_worker.stage import worker_settings
from parley_agent_worker.emitter import Emitter
from parley_agent_worker.gateway import ClaimLost
from parley_agent_worker.journal import Journal
from parley_agent_worker.models.providers import Providers
from parley_agent_worker.tools.tool import Tool, tool
from parley_agent_worker.tools.toolbox import Toolbox
from parley_agent_worker.turn import Equipment, TurnRun
from parley_contracts.events import Event
from parley_contracts.messages import HistoryMessage
from parley_contracts.turns import AnswerStep, FinishTurn, ResultStep, Step


class GatedJournal(Journal):
    """A journal whose steps are on their way until the gate is open."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.open = asyncio.Event()

    def record(self, step: Step) -> None:
        self.steps.append(step)

    async def settled(self) -> None:
        if self.steps:
            await self.open.wait()

    def results(self) -> list[tuple[str, str]]:
        return [(s.name, s.status) for s in self.steps if isinstance(s, ResultStep)]


class Bench:
    """An attempt with the echo model, and everything that it says and records."""

    def __init__(self, providers: Providers) -> None:
        self.providers = providers
        self.journal = GatedJournal()
        self.events: list[Event] = []
        self.ran: list[str] = []
        self.confirmed = 0
        self.claim_holds = True

    def tool(self, name: str, *, repeatable: bool = True) -> Tool:
        async def act() -> str:
            self.ran.append(f"{name} begins")
            await asyncio.sleep(0)
            self.ran.append(f"{name} ends")
            return name

        act.__name__ = name
        return tool(act, repeatable=repeatable)

    async def confirm(self) -> None:
        self.confirmed += 1
        if not self.claim_holds:
            raise ClaimLost("its lease ran out")

    def run(self, text: str, *tools: Tool, **agent: Any) -> TurnRun:
        grant = granted(text, **agent)

        async def history() -> list[HistoryMessage]:
            return list(grant.history)

        equipment = Equipment(
            providers=self.providers,
            toolbox=Toolbox(tools, grant.agent.policies),
            skills=(),
            emitter=Emitter(self.events.append, grant),
            journal=self.journal,
            history=history,
            confirm=self.confirm,
        )
        return TurnRun(grant, equipment)

    async def finished(self, text: str, *tools: Tool, **agent: Any) -> FinishTurn:
        self.journal.open.set()
        run = self.run(text, *tools, **agent)
        await run.run()
        return run.finish(7)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    providers = Providers(worker_settings())
    yield Bench(providers)
    await providers.close()


async def spin(times: int = 200) -> None:
    """Let everything run that can."""
    for _ in range(times):
        await asyncio.sleep(0)


async def test_rule_13_the_intent_is_safe_before_a_tool_starts(bench: Bench) -> None:
    run = bench.run("[[tool a {}]]", bench.tool("a"))
    running = asyncio.create_task(run.run())
    await spin()
    assert [type(step) for step in bench.journal.steps] == [AnswerStep]
    assert bench.ran == []
    bench.journal.open.set()
    await running
    assert bench.ran == ["a begins", "a ends"]


async def test_rule_13_the_next_model_call_does_not_wait_for_records_but_the_end_does(
    bench: Bench,
) -> None:
    bench.journal.open.set()

    async def block() -> str:
        bench.journal.open.clear()
        return "result"

    running = asyncio.create_task(
        bench.run("[[tool block {}]]", tool(block, repeatable=True)).run()
    )
    await spin()
    assert bench.events[-1].kind == "text_delta"
    assert not running.done()
    bench.journal.open.set()
    await running


async def test_rule_13_a_call_that_must_not_run_twice_is_noted_before_it_runs(
    bench: Bench,
) -> None:
    await bench.finished("[[tool write {}]]", bench.tool("write", repeatable=False))
    assert bench.journal.results() == [("write", "unknown"), ("write", "ok")]


async def test_rule_14_without_a_sure_claim_no_tool_starts(bench: Bench) -> None:
    bench.claim_holds = False
    bench.journal.open.set()
    with pytest.raises(ClaimLost):
        await bench.run("[[tool a {}]]", bench.tool("a")).run()
    assert (bench.ran, bench.confirmed) == ([], 1)


async def test_rule_14_a_claim_lost_while_a_call_is_noted_keeps_the_tool_from_starting(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = bench.journal.record

    def note_and_lose_the_claim(step: Step) -> None:
        note(step)
        bench.claim_holds = not isinstance(step, ResultStep)

    monkeypatch.setattr(bench.journal, "record", note_and_lose_the_claim)
    bench.journal.open.set()
    with pytest.raises(ClaimLost):
        await bench.run("[[tool write {}]]", bench.tool("write", repeatable=False)).run()
    assert bench.ran == []
    assert bench.journal.results() == [("write", "unknown")]


async def test_rule_14_a_claim_that_is_lost_stops_the_calls_beside(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def wait() -> str:
        begun.set()
        try:
            return str(await asyncio.Event().wait())
        finally:
            stopped.set()

    async def confirm() -> None:
        bench.confirmed += 1
        if bench.confirmed > 1:
            await begun.wait()
            raise ClaimLost("its lease ran out")

    monkeypatch.setattr(bench, "confirm", confirm)
    bench.journal.open.set()
    tools = [tool(wait, repeatable=True), bench.tool("a")]
    with pytest.raises(ClaimLost):
        await bench.run("[[tool wait {}]] [[tool a {}]]", *tools).run()
    assert (stopped.is_set(), bench.ran) == (True, [])


async def test_what_changes_nothing_runs_side_by_side_and_what_does_runs_alone(
    bench: Bench,
) -> None:
    tools = [bench.tool("a"), bench.tool("b"), bench.tool("w", repeatable=False), bench.tool("c")]
    await bench.finished("[[tool a {}]] [[tool b {}]] [[tool w {}]] [[tool c {}]]", *tools)
    assert bench.ran == [
        "a begins", "b begins", "a ends", "b ends", "w begins", "w ends", "c begins", "c ends",
    ]  # fmt: skip


async def test_at_most_four_run_side_by_side(bench: Bench) -> None:
    names = ["a", "b", "c", "d", "e"]
    text = " ".join(f"[[tool {name} {{}}]]" for name in names)
    await bench.finished(text, *(bench.tool(name) for name in names))
    assert bench.ran[:4] == ["a begins", "b begins", "c begins", "d begins"]
    assert bench.ran[-2:] == ["e begins", "e ends"]


async def test_the_last_answer_is_recorded_with_the_end_and_not_before(bench: Bench) -> None:
    finish = await bench.finished("[[tool a {}]]", bench.tool("a"))
    assert [type(step) for step in bench.journal.steps] == [AnswerStep, ResultStep]
    assert finish.step
    assert (finish.step.number, finish.step.text) == (2, "a")
    assert (finish.outcome, finish.text, finish.slot_sequence) == ("completed", "a", 7)
    assert finish.last_number == bench.events[-1].number


async def test_a_call_that_waits_leaves_the_turn_waiting(bench: Bench) -> None:
    finish = await bench.finished("[[tool a {}]]", bench.tool("a"), policies={"a": "ask"})
    assert (finish.outcome, finish.step, bench.ran) == ("waiting", None, [])
    assert bench.events[-1].kind == "approval_requested"


async def test_a_failure_keeps_what_was_said(bench: Bench) -> None:
    finish = await bench.finished("some words [[fail cut]]")
    assert (finish.outcome, finish.text) == ("failed", "some words")
    assert finish.error
    assert finish.error.kind == "cut"
    assert finish.model == "echo:echo"


async def test_a_fallback_never_continues_what_another_has_begun(bench: Bench) -> None:
    finish = await bench.finished("some words [[fail stalled]]", fallbacks=["echo:other"])
    assert (finish.text, finish.model) == ("some words", "echo:echo")


async def test_a_request_that_is_itself_at_fault_is_not_put_to_another_model(
    bench: Bench,
) -> None:
    finish = await bench.finished("[[fail context-overflow]]", fallbacks=["echo:other"])
    assert finish.error
    assert (finish.error.kind, finish.model) == ("context-overflow", "echo:echo")


async def test_a_stopped_attempt_says_what_it_has(bench: Bench) -> None:
    run = bench.run("one two [[slow 1000]]")
    running = asyncio.create_task(run.run())
    await spin()
    running.cancel()
    await asyncio.wait([running])
    run.stop()
    finish = run.finish(7)
    assert (finish.outcome, finish.text) == ("cancelled", "one ")
