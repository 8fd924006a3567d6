"""A tool made from an async Python function.

The parameters' annotations become the JSON Schema that the model sees, the docstring its
description. A parameter annotated as `ToolContext` is filled in by us and hidden from the model.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

if TYPE_CHECKING:
    from parley_agent_worker.skills import Skill

OUTPUT_BYTES = 16 * 1024
CALL_S = 30.0


class ToolFailed(Exception):
    """A call failed; the sentence is what the model is told."""


@dataclass(frozen=True)
class ToolContext:
    """What a call may know of its turn."""

    thread_id: str = ""
    skills: tuple[Skill, ...] = ()


@dataclass(frozen=True)
class Tool:
    """A function that models may call.

    A repeatable tool changes nothing: it may run beside others, and again after a crash.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    call: Callable[[str, ToolContext], Awaitable[str]]
    repeatable: bool = False
    output_bytes: int = OUTPUT_BYTES
    timeout_s: float = CALL_S

    def definition(self) -> dict[str, Any]:
        """Return the tool as the chat completions format describes it."""
        function = {
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
        }
        return {"type": "function", "function": function}


def tool(
    function: Callable[..., Awaitable[str]],
    *,
    repeatable: bool = False,
    output_bytes: int = OUTPUT_BYTES,
    timeout_s: float = CALL_S,
) -> Tool:
    """Return the function as a tool."""
    hints = get_type_hints(function, include_extras=True)
    injected = [name for name, hint in hints.items() if hint is ToolContext]
    arguments = _arguments_model(function, hints, {*injected, "return"})

    async def call(written: str, context: ToolContext) -> str:
        values = dict(_validated(arguments, written))
        return await function(**values, **dict.fromkeys(injected, context))

    return Tool(
        name=arguments.__name__,
        description=inspect.getdoc(function) or "",
        parameters=_schema(arguments),
        call=call,
        repeatable=repeatable,
        output_bytes=output_bytes,
        timeout_s=timeout_s,
    )


def _arguments_model(
    function: Callable[..., Awaitable[str]], hints: dict[str, Any], left_out: set[str]
) -> type[BaseModel]:
    signature = inspect.signature(function)
    fields: dict[str, Any] = {
        name: (hints[name], ... if parameter.default is parameter.empty else parameter.default)
        for name, parameter in signature.parameters.items()
        if name not in left_out
    }
    return create_model(
        getattr(function, "__name__", "tool"), __config__=ConfigDict(extra="forbid"), **fields
    )


def _schema(arguments: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema without the titles, which only cost tokens."""
    schema = arguments.model_json_schema()
    schema.pop("title", None)
    for each in schema.get("properties", {}).values():
        each.pop("title", None)
    return schema


def _validated(arguments: type[BaseModel], written: str) -> BaseModel:
    """Return the arguments; what is wrong with them is told to the model, to mend it."""
    try:
        return arguments.model_validate_json(written.strip() or "{}")
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        raise ToolFailed(f"The arguments are wrong: {json.dumps(errors)}") from None
