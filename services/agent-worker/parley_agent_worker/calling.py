"""Calls the tools that a model asks for, within what the owner allows.

Every call gets exactly one result, also one that is refused. What changes nothing runs side by
side, what changes something alone and in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from parley_bus.failpoints import failpoint
from parley_contracts.turns import AnswerStep, Decision, ResultStep, ToolCall

from parley_agent_worker.emitter import Emitter
from parley_agent_worker.journal import Journal
from parley_agent_worker.progress import MOST_ANSWERS, Progress
from parley_agent_worker.tools.tool import Tool, ToolContext
from parley_agent_worker.tools.toolbox import Result, Toolbox, run

PARALLEL_CALLS = 4
_UNKNOWN = (
    "The outcome of this call is unknown: the worker that ran it died. It was not repeated; find "
    "out whether it took effect before you call it again."
)


@dataclass(frozen=True)
class Calling:
    """The tools' side of one attempt.

    `confirm` returns when the claim surely holds, and raises ClaimLost otherwise.
    """

    toolbox: Toolbox
    context: ToolContext
    decisions: Mapping[str, Decision]
    progress: Progress
    emitter: Emitter
    journal: Journal
    confirm: Callable[[], Awaitable[None]]

    async def call(self, answer: AnswerStep) -> bool:
        """Run the answer's calls that may run; return True when some wait for the owner."""
        pending = self.progress.pending
        waiting = [call for call in pending if self._waits(call)]
        for batch in self._batches(call for call in pending if call not in waiting):
            await self.journal.settled()
            await _side_by_side(self._call(answer.number, call) for call in batch)
        if waiting:  # nobody is asked about a call that the gateway does not know yet
            await self.journal.settled()
        for call in waiting:
            self.emitter.approval_requested(answer.number, call)
        return bool(waiting)

    def _waits(self, call: ToolCall) -> bool:
        asks = self.toolbox.policy(call.name) == "ask" and call.id not in self.decisions
        return asks and call.name in self.toolbox and self._refusal(call) is None

    def _refusal(self, call: ToolCall) -> Result | None:
        """Return the result of a call that is not run, None for one that may be."""
        if self.toolbox.policy(call.name) == "never":
            return Result("The owner does not allow this tool.", "denied")
        if self.decisions.get(call.id) == "deny":
            return Result("The owner has denied this call.", "denied")
        if self.progress.circles(call):
            return Result("This very call was made before; answer with what you know.", "error")
        if len(self.progress.answers) >= MOST_ANSWERS:
            return Result("No more calls are possible in this turn.", "error")
        return None

    def _batches(self, calls: Iterable[ToolCall]) -> Iterable[list[ToolCall]]:
        """Yield what may run side by side: a few repeatable calls, or one that changes things."""
        batch: list[ToolCall] = []
        for call in calls:
            tool = self.toolbox.get(call.name)
            alone = tool is not None and not tool.repeatable
            if batch and (alone or len(batch) == PARALLEL_CALLS):
                yield batch
                batch = []
            if alone:
                yield [call]
            else:
                batch.append(call)
        if batch:
            yield batch

    async def _call(self, step: int, call: ToolCall) -> None:
        self.emitter.tool_started(step, call)
        recorded = self._step(call, await self._result(call))
        self.progress.add(recorded)
        self.journal.record(recorded)
        self.emitter.tool_finished(step, recorded)

    async def _result(self, call: ToolCall) -> Result:
        tool = self.toolbox.get(call.name)
        if tool is None:
            known = self.toolbox.names()
            return Result(f"There is no tool “{call.name}”; there are: {known}.", "error")
        return self._refusal(call) or await self._run(tool, call)

    async def _run(self, tool: Tool, call: ToolCall) -> Result:
        """Run a call; one that must not run twice is recorded as unknown first.

        Its result replaces that record. So whoever takes over never repeats it, and still runs
        what had not begun. The claim is confirmed last: whatever comes between it and the run
        leaves room for a freeze, after which the call may be another worker's (rule 14).
        """
        if not tool.repeatable:
            self.journal.record(self._step(call, Result(_UNKNOWN, "unknown")))
            await self.journal.settled()
        failpoint("tool.before")
        await self.confirm()
        result = await run(tool, call, self.context)
        failpoint("tool.after")
        return result

    def _step(self, call: ToolCall, result: Result) -> ResultStep:
        return ResultStep(
            number=self.progress.take_number(),
            call_id=call.id,
            name=call.name,
            output=result.output,
            status=result.status,
            duration_ms=result.duration_ms,
        )


async def _side_by_side(calls: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run the calls to their ends; when one cannot go on, none does: the claim is lost."""
    running = [asyncio.create_task(call) for call in calls]
    try:
        await asyncio.gather(*running)
    except BaseException:
        for each in running:
            each.cancel()
        await asyncio.wait(running)
        raise
