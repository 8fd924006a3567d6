"""Tools: functions as models see them, and calls that always end in one result."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import pytest
from parley_agent_worker.tools.calculator import Calculator
from parley_agent_worker.tools.clock import clock
from parley_agent_worker.tools.program import MOST_BYTES, output_of
from parley_agent_worker.tools.tool import Tool, ToolContext, ToolFailed, tool
from parley_agent_worker.tools.toolbox import Result, Toolbox, run
from parley_contracts.turns import ToolCall
from pydantic import Field


async def greet(
    name: Annotated[str, Field(description="whom")], context: ToolContext, times: int = 1
) -> str:
    """Greet somebody."""
    return f"{'hello ' * times}{name} in {context.thread_id}"


GREET = tool(greet)
CONTEXT = ToolContext(thread_id="t1")


async def outcome(tool: Tool, arguments: str) -> Result:
    return await run(tool, ToolCall(id="c", name=tool.name, arguments=arguments), CONTEXT)


def test_the_signature_is_the_schema_without_what_we_fill_in() -> None:
    assert GREET.definition() == {
        "type": "function",
        "function": {
            "name": "greet",
            "description": "Greet somebody.",
            "parameters": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "description": "whom"},
                    "times": {"type": "integer", "default": 1},
                },
                "required": ["name"],
                "additionalProperties": False,
            },
        },
    }


async def test_a_call_gets_its_arguments_and_its_context() -> None:
    assert (await outcome(GREET, '{"name": "Ada"}')).output == "hello Ada in t1"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"name": ', "JSON"),
        ('{"name": "a", "size": 1}', "size"),
        ("{}", "name"),
        ("", "name"),
        ('"name"', "object"),
    ],
)
async def test_wrong_arguments_are_told_to_the_model(arguments: str, told: str) -> None:
    result = await outcome(GREET, arguments)
    assert result.status == "error"
    assert told in result.output


async def test_a_failure_and_a_fault_are_results() -> None:
    async def fail() -> str:
        raise ToolFailed("there is no such place")

    async def crash() -> str:
        raise ZeroDivisionError

    failed = await outcome(tool(fail), "{}")
    assert (failed.output, failed.status) == ("there is no such place", "error")
    assert (await outcome(tool(crash), "{}")).output == "crash failed by a fault of its own."


class Panic(BaseException):
    """What libraries written in Rust raise."""


@pytest.mark.parametrize("end", [SystemExit(3), asyncio.CancelledError(), Panic()])
async def test_a_tool_ends_by_itself_alone_whatever_it_raises(end: BaseException) -> None:
    async def leave() -> str:
        raise end

    result = await asyncio.create_task(outcome(tool(leave), "{}"))
    assert (result.output, result.status) == ("leave failed by a fault of its own.", "error")


async def test_a_call_that_is_cancelled_has_no_result() -> None:
    begun = asyncio.Event()

    async def wait() -> str:
        begun.set()
        return str(await asyncio.Event().wait())

    calling = asyncio.create_task(outcome(tool(wait), "{}"))
    await begun.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling


async def test_a_call_that_takes_too_long_is_stopped() -> None:
    stopped = asyncio.Event()

    async def wait() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return ""

    result = await outcome(tool(wait, timeout_s=0.01), "{}")
    assert (result.status, stopped.is_set()) == ("error", True)
    assert "did not end within 0.01 s" in result.output


async def test_a_long_output_keeps_its_head_and_its_tail() -> None:
    async def much() -> str:
        return "A" + "ä" * 50_000 + "Z"

    output = (await outcome(tool(much), "{}")).output
    assert (output[0], output[-1]) == ("A", "Z")
    assert "bytes left out" in output
    assert len(output.encode()) < 17_000


async def test_an_output_is_made_fit_to_be_stored() -> None:
    async def odd() -> str:
        return "a\x00b\ud800c"

    assert (await outcome(tool(odd), "{}")).output == "ab\ufffdc"


def test_what_an_agent_may_never_use_is_not_offered() -> None:
    async def other() -> str:
        """Other."""
        return ""

    toolbox = Toolbox([tool(other), GREET], {"other": "never"})
    assert toolbox.names() == "greet"
    assert toolbox.policy("greet") == "allow"


async def calculated(expression: str) -> Result:
    async with Calculator() as calculator:
        return await outcome(calculator.tool(), json.dumps({"expression": expression}))


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("6*7", "42"),
        (" 0.1 + 0.2 ", "0.3"),
        ("2**64", "18446744073709551616"),
        ("sqrt(16) + math.floor(2.7)", "6"),
        ("comb(5, 2)", "10"),
        ("pow(2, 10, 1000)", "24"),
        ("1_000_000 / 3", "333333.333333333"),
        ("max(1, 2), sum([1, 2])", "(2, 3)"),
    ],
)
async def test_the_calculator_calculates(expression: str, result: str) -> None:
    found = await calculated(expression)
    assert (found.output, found.status) == (result, "ok")


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("1/0", "it divides by zero"),
        ("2**10**9", "it needs too much memory"),
        ("10**5000", "more than 4300 digits"),
        ("6*", "is not an expression"),
        ("six times seven", "is not an expression"),
        ("import os", "is not an expression"),
        ("open('/etc/passwd')", "has no result"),
        ("__import__('os')", "has no result"),
        ("log(-1)", "has no result"),
        ("nonsense", "'nonsense' is not defined"),
    ],
)
async def test_the_calculator_says_in_a_sentence_what_cannot_be(expression: str, told: str) -> None:
    result = await calculated(expression)
    assert result.status == "error"
    assert told in result.output
    assert "Traceback" not in result.output


async def test_two_first_calculations_at_once_share_the_sandbox() -> None:
    async with Calculator() as calculator:
        known = calculator.tool()
        results = await asyncio.gather(*(outcome(known, '{"expression": "1+1"}') for _ in range(4)))
    assert [each.output for each in results] == ["2"] * 4


async def test_the_clock_knows_the_zones_of_the_world() -> None:
    output = (await outcome(clock(), '{"zone": "Europe/Berlin"}')).output
    assert output.endswith("(Europe/Berlin)")
    assert "+01:00" in output or "+02:00" in output
    assert (await outcome(clock(), "")).output.endswith("+00:00 (UTC)")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "", "Europe", "\\u0000"])
async def test_an_unknown_zone_is_answered_with_what_would_be_known(zone: str) -> None:
    result = await outcome(clock(), f'{{"zone": "{zone}"}}')
    assert result.status == "error"
    assert "is not a time zone; use an IANA name such as Europe/Berlin" in result.output


async def test_what_a_program_writes_is_the_result() -> None:
    assert await output_of("sh", "-c", "echo out; echo err >&2") == "out\nerr\n"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("sh", "-c", "echo why; exit 3"), "sh ended with exit code 3: why\n"),
        (("no-such-program",), "no-such-program cannot be run: No such file or directory."),
    ],
)
async def test_a_program_that_fails_is_told(command: tuple[str, ...], told: str) -> None:
    with pytest.raises(ToolFailed, match=f"^{told}$"):
        await output_of(*command)


async def test_a_program_that_writes_without_end_fills_no_memory() -> None:
    written = await output_of("sh", "-c", "yes | head -c 3000000")
    assert written == "y\n" * (MOST_BYTES // 2)
