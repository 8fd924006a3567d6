"""The calculator: an expression evaluated in a sandboxed Python interpreter.

Monty runs in a process of its own, without files, environment or network, and holds its limits of
time and memory; it is started at the first call and kept.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from parley_agent_worker.tools.tool import Tool, ToolFailed, tool

if TYPE_CHECKING:
    from pydantic_monty import AsyncMonty, MontyError, ResourceLimits

_LIMITS: ResourceLimits = {
    "max_feed_duration_secs": 2.0,
    "max_memory": 64 * 1024 * 1024,
    "max_recursion_depth": 200,
}
_PROCESSES = 2
_PROGRAM = """\
import math
from math import (
    acos, acosh, asin, asinh, atan, atan2, atanh, cbrt, ceil, comb, copysign, cos, cosh, degrees,
    dist, e, erf, exp, factorial, floor, fmod, fsum, gamma, gcd, hypot, inf, isqrt, lcm, log, log10,
    log2, perm, pi, prod, radians, sin, sinh, sqrt, tan, tanh, tau, trunc,
)
result = eval(expression.strip())
format(result, ".15g") if type(result) is float else str(result)
"""
"""The result is turned into text inside, where the limits hold for that, too."""
_REASONS = {
    "MemoryError": "it needs too much memory",
    "TimeoutError": "it takes longer than 2 seconds",
    "RecursionError": "it nests too deeply",
    "ZeroDivisionError": "it divides by zero",
}
_ADVICE = "write plain Python arithmetic such as 2 ** 10 or sqrt(2), without words and units"

Expression = Annotated[
    str, Field(description="for example (17.5 * 12) / 4 or sqrt(2) ** 3", max_length=10_000)
]


class Calculator:
    """Owns the sandbox; `async with` closes it."""

    def __init__(self) -> None:
        self._pool: AsyncMonty | None = None
        self._starting = asyncio.Lock()

    async def __aenter__(self) -> Calculator:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool:
            await self._pool.__aexit__(kind, error, traceback)

    def tool(self) -> Tool:
        """Return the tool `calculator`."""
        return tool(self.calculator, repeatable=True)

    async def calculator(self, expression: Expression) -> str:
        """Evaluate an arithmetic expression exactly and return the result.

        The syntax is Python's (** for powers); the functions and constants of math are there.
        """
        from pydantic_monty import MontyError, MontySyntaxError

        pool = await self._sandbox()
        try:
            async with pool.checkout(limits=_LIMITS) as session:
                return str(await session.feed_run(_PROGRAM, inputs={"expression": expression}))
        except MontySyntaxError:
            raise ToolFailed(f"“{expression}” is not an expression; {_ADVICE}.") from None
        except MontyError as error:
            raise ToolFailed(f"“{expression}” has no result: {_reason(error)}.") from None

    async def _sandbox(self) -> AsyncMonty:
        async with self._starting:
            if self._pool is None:
                from pydantic_monty import AsyncMonty

                self._pool = await AsyncMonty(max_processes=_PROCESSES).__aenter__()
            return self._pool


def _reason(error: MontyError) -> str:
    cause = error.exception()
    if "integer string conversion" in str(cause):
        return "it has more than 4300 digits"
    return _REASONS.get(type(cause).__name__, str(cause))
