"""What becomes of turns when workers, gateway or broker go away and come back."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
from asyncio.subprocess import Process
from pathlib import Path
from typing import Any

import pytest
from agent_worker.reading import answered, calls, kinds, said
from agent_worker.stage import Client, Stage, client
from eventually import PATIENCE_S, eventually
from fakes.model_process import ModelProcess
from parley_agent_worker.tools.program import output_of
from parley_bus import Bus
from parley_contracts.events import Event, ToolFinished, TurnCancelled, TurnRestarted
from parley_contracts.subjects import cancel_subject

TOOLS = ["look", "look_once_more", "write", "write_for_ever", "run_for_ever"]


async def begin(talking: Client, model_server: ModelProcess, gate: str) -> str:
    """Return a turn whose model has said `one ` and waits at a gate."""
    model_server.script([{"text": "one "}, {"gate": gate}, {"text": "two"}])
    thread = await talking.thread((await talking.agent()).id)
    turn = await talking.send(thread, "hi")
    await talking.kind(turn, "text_delta")
    return turn


async def test_rule_13_after_a_takeover_nothing_with_a_result_runs_again(
    stage: Stage, model_server: ModelProcess
) -> None:
    """A worker dies in two turns: in a tool that may be repeated, and in one that may not."""
    stage.start_gateway()
    stage.start_worker("first")
    async with client(stage) as talking:
        agent = await talking.agent(tools=TOOLS)
        turns = []
        for last in ("look_once_more", "write_for_ever"):
            wishes = [(f"{n}", name, '{"what": "x"}') for n, name in enumerate(("look", "write"))]
            model_server.script([{"text": "So."}, calls(*wishes, ("2", last, '{"what": "x"}'))])
            turns.append(await talking.send(await talking.thread(agent.id), "hi"))
            await _noted(stage, f"{last} x")
        stage.kill("first")
        model_server.script([{"text": "Done."}], [{"text": "Done."}])
        stage.start_worker("second")
        repeatable, other = [await talking.closed(turn) for turn in turns]
        for events in (repeatable, other):
            assert answered(events).text == "So.\n\nDone."
            assert [event.text for event in events if isinstance(event, TurnRestarted)] == ["So."]
        assert _result(repeatable) == ("ok", "x is there")
        assert _result(other)[0] == "unknown"
        assert "outcome of this call is unknown" in _result(other)[1]
        assert sorted(stage.noted()) == [
            "look x", "look x", "look_once_more x", "look_once_more x", "write x", "write x",
            "write_for_ever x",
        ]  # fmt: skip


def _result(events: list[Event]) -> tuple[str, str]:
    part = answered(events).parts[-2]
    assert part.type == "tool"
    return part.status, part.output


async def _noted(stage: Stage, line: str) -> None:
    async def seen() -> bool:
        return line in stage.noted()

    await eventually(seen)


async def test_a_worker_that_stops_gives_its_turn_back_and_another_goes_on_at_once(
    stage: Stage, model_server: ModelProcess
) -> None:
    stage.start_gateway()
    stage.start_worker("first")
    async with client(stage) as talking:
        turn = await begin(talking, model_server, "never")
        model_server.script([{"text": "all of it"}])
        assert await asyncio.to_thread(stage.stop, "first") == 0
        assert (await talking.turn(turn)).status == "open"
        stage.start_worker("second")
        events = await talking.closed(turn)
    assert answered(events).text == "all of it"
    restarts = [event for event in events if isinstance(event, TurnRestarted)]
    assert [(event.attempt, event.text) for event in restarts] == [(2, "")]


async def test_a_worker_that_stops_lets_its_turns_end_within_the_grace(
    stage: Stage, model_server: ModelProcess
) -> None:
    stage.start_gateway()
    stage.start_worker("first", PARLEY_GRACE="60")
    async with client(stage) as talking:
        turn = await begin(talking, model_server, "slowly")
        stopping = asyncio.create_task(asyncio.to_thread(stage.stop, "first"))
        model_server.open("slowly")
        assert answered(await talking.closed(turn)).text == "one two"
        assert await stopping == 0


async def test_while_the_gateway_is_away_a_worker_keeps_its_answer(
    stage: Stage, model_server: ModelProcess
) -> None:
    stage.start_gateway()
    stage.start_worker()
    async with client(stage) as talking:
        turn = await begin(talking, model_server, "away")
        stage.kill("gateway")
        model_server.open("away")
        await talking.seen(turn, lambda event: said([event]).endswith("two"))
        stage.start_gateway()
        events = await talking.closed(turn)
    assert answered(events).text == said(events) == "one two"
    assert "turn_restarted" not in kinds(events)
    assert len(model_server.requests()) == 1


async def test_rule_16_a_worker_stops_at_once_while_the_gateway_is_away(
    stage: Stage, model_server: ModelProcess
) -> None:
    stage.start_gateway()
    stage.start_worker()
    async with client(stage) as talking:
        turn = await begin(talking, model_server, "never")
        stage.kill("gateway")
        await stop_as_web(stage, turn)
        await asyncio.to_thread(model_server.await_gone)
        stage.start_gateway()
        closing = (await talking.closed(turn))[-1]
    assert isinstance(closing, TurnCancelled)
    assert closing.message
    assert (closing.message.text, closing.message.status) == ("one ", "stopped")


async def stop_as_web(stage: Stage, turn_id: str) -> None:
    """Publish what the web service publishes when the owner stops a turn."""
    web = await Bus.connect(stage.broker.context("web"), name="web")
    await web.publish(cancel_subject(turn_id), b"")
    await web.close()


async def test_a_broker_that_dies_in_the_middle_of_an_answer_costs_no_answer(
    stage: Stage, model_server: ModelProcess
) -> None:
    stage.start_gateway()
    stage.start_worker()
    async with client(stage) as talking:
        turn = await begin(talking, model_server, "broken")
        stage.broker.restart()
        model_server.open("broken")
        closing = (await talking.closed(turn))[-1]
        assert answered([closing]).text == "one two"
        assert (await talking.turn(turn)).attempt == 1


async def test_rule_14_a_frozen_worker_that_wakes_up_neither_acts_nor_answers(
    stage: Stage, model_server: ModelProcess
) -> None:
    stage.start_gateway()
    stage.start_worker("first")
    async with client(stage) as talking:
        act = calls(("a", "write", '{"what": "too late"}'))
        model_server.script([{"text": "one "}, {"gate": "frozen"}, act])
        thread = await talking.thread((await talking.agent(tools=TOOLS)).id)
        turn = await talking.send(thread, "hi")
        await talking.kind(turn, "text_delta")
        stage.freeze("first")
        model_server.script([{"text": "the other's answer"}])
        stage.start_worker("second")
        events = await talking.closed(turn)
        assert answered(events).text == "the other's answer"
        stage.thaw("first")
        model_server.open("frozen")
        await _told(stage, "first", "no longer ours")
        again = answered(await talking.closed(await talking.send(thread, "and now?")))
        assert again.position == 4
        assert stage.noted() == []


async def _told(stage: Stage, name: str, words: str) -> None:
    async def seen() -> bool:
        return words in stage.log(name)

    await eventually(seen)


async def test_rule_16_a_stopped_turn_keeps_what_it_said_and_its_calls_have_results(
    client: Client, model_server: ModelProcess, running_stage: Stage
) -> None:
    model_server.script([{"text": "So."}, calls(("a", "write_for_ever", '{"what": "y"}'))])
    thread = await client.thread((await client.agent(tools=TOOLS)).id)
    turn = await client.send(thread, "hi")
    await _noted(running_stage, "write_for_ever y")
    await client.cancel(turn)
    events = await client.closed(turn)
    closing = events[-1]
    assert isinstance(closing, TurnCancelled)
    assert closing.message
    assert closing.message.text == "So."
    (tool,) = [part for part in closing.message.parts if part.type == "tool"]
    assert tool.status == "cancelled"
    assert not [event for event in events if isinstance(event, ToolFinished)]


async def test_stopping_ends_the_program_of_a_tool_and_what_that_started(
    client: Client, model_server: ModelProcess, running_stage: Stage
) -> None:
    model_server.script([calls(("a", "run_for_ever", '{"what": "stopped"}'))])
    thread = await client.thread((await client.agent(tools=TOOLS)).id)
    turn = await client.send(thread, "hi")
    programs = [Ending(pid) for pid in await _programs(running_stage, "stopped")]
    assert len(programs) == 2
    await client.cancel(turn)
    for each in programs:
        await each.comes()


async def test_a_call_that_is_stopped_while_its_program_starts_leaves_none_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program runs already, and the event loop has yet to hand it over."""
    start, handed_over = asyncio.create_subprocess_exec, asyncio.Event()

    async def start_slowly(*command: str, **settings: Any) -> Process:
        process = await start(*command, **settings)
        await handed_over.wait()
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start_slowly)
    os.mkfifo(tmp_path / "told")
    script = f'sleep 3600 & echo "$$ $!" > {tmp_path}/told; wait'
    calling = asyncio.create_task(output_of("sh", "-c", script))
    told = await asyncio.to_thread((tmp_path / "told").read_text)
    programs = [Ending(int(pid)) for pid in told.split()]
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    handed_over.set()
    assert len(programs) == 2
    for each in programs:
        await each.comes()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
async def test_the_program_of_a_tool_ends_with_its_worker(
    stage: Stage, model_server: ModelProcess
) -> None:
    stage.start_gateway()
    stage.start_worker()
    async with client(stage) as talking:
        model_server.script([calls(("a", "run_for_ever", '{"what": "killed"}'))])
        thread = await talking.thread((await talking.agent(tools=TOOLS)).id)
        await talking.send(thread, "hi")
        program, started_by_it = await _programs(stage, "killed")
        ending = Ending(program)
        stage.kill("worker")
        await ending.comes()
        os.kill(started_by_it, signal.SIGKILL)  # which a launcher would have done


class Ending:
    """The end of a running process, whoever its parent is."""

    def __init__(self, pid: int) -> None:
        self._process = os.pidfd_open(pid)

    async def comes(self) -> None:
        """Wait for it."""
        ended, _, _ = await asyncio.to_thread(select.select, [self._process], [], [], PATIENCE_S)
        os.close(self._process)
        assert ended


async def _programs(stage: Stage, what: str) -> list[int]:
    """Return the process ids of the programs that a call of `run_for_ever` has started."""
    told: list[list[str]] = []

    async def told_by_them() -> bool:
        told[:] = [line.split()[1:] for line in stage.noted() if line.startswith(f"{what} ")]
        return bool(told)

    await eventually(told_by_them)
    return [int(pid) for pid in told[0]]


async def test_rule_16_stopping_frees_the_model_server(
    client: Client, model_server: ModelProcess
) -> None:
    turn = await begin(client, model_server, "never")
    await client.cancel(turn)
    await asyncio.to_thread(model_server.await_gone)
    closing = (await client.closed(turn))[-1]
    assert isinstance(closing, TurnCancelled)
    assert closing.message
    assert closing.message.text == "one "
