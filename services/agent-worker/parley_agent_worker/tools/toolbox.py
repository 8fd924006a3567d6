"""The tools of one agent in one turn, and the running of a call."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from parley_contracts.agents import Policy
from parley_contracts.messages import ToolStatus
from parley_contracts.turns import ToolCall

from parley_agent_worker.text import shortened, sound
from parley_agent_worker.tools.tool import Tool, ToolContext, ToolFailed

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """What a call came to; `output` is what the model is told."""

    output: str
    status: ToolStatus
    duration_ms: int = 0


class Toolbox:
    """The tools that an agent may use, by its settings."""

    def __init__(self, tools: Iterable[Tool], policies: Mapping[str, Policy]) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._policies = policies

    def definitions(self) -> list[dict[str, Any]]:
        """Return what the model is offered, sorted so that prompts keep their prefix."""
        offered = (name for name in sorted(self._tools) if self.policy(name) != "never")
        return [self._tools[name].definition() for name in offered]

    def __contains__(self, name: str) -> bool:
        return name in self._tools

    def get(self, name: str) -> Tool | None:
        """Return the tool of that name, if the agent has it."""
        return self._tools.get(name)

    def policy(self, name: str) -> Policy:
        """Return what the owner wants of calls to this tool."""
        return self._policies.get(name, "allow")

    def names(self) -> str:
        """Return the names that a model may call, for a sentence."""
        return ", ".join(each["function"]["name"] for each in self.definitions()) or "none"


async def run(tool: Tool, call: ToolCall, context: ToolContext) -> Result:
    """Run a call to its end, its time limit or its fault; never raises but when cancelled."""
    started = time.monotonic()
    output, status = await _outcome(tool, call, context)
    duration_ms = round((time.monotonic() - started) * 1000)
    return Result(shortened(sound(output), tool.output_bytes), status, duration_ms)


async def _outcome(tool: Tool, call: ToolCall, context: ToolContext) -> tuple[str, ToolStatus]:
    try:
        async with asyncio.timeout(tool.timeout_s):
            return await tool.call(call.arguments, context), "ok"
    except ToolFailed as failure:
        return str(failure), "error"
    except TimeoutError:
        return f"{tool.name} did not end within {tool.timeout_s:g} s and was stopped.", "error"
    except BaseException as fault:
        if _comes_from_outside(fault):
            raise
        log.exception("the tool %s failed on %s", tool.name, call.arguments)
        return f"{tool.name} failed by a fault of its own.", "error"


def _comes_from_outside(fault: BaseException) -> bool:
    """Return whether it ends the call, and is not what the tool itself came to.

    A tool that awaits something cancelled is not cancelled, and one that exits ends nobody else.
    """
    if isinstance(fault, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(fault, KeyboardInterrupt | GeneratorExit)
