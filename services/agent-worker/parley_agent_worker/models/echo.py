"""The built-in model `echo:`: deterministic, without network, for tests and first steps.

It answers with the user's text, word by word, and follows the directives in it, so that every path
of a turn can be driven without a model. A tool's directive is replaced by the tool's result.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

from parley_contracts.turns import ToolCall, Usage

from parley_agent_worker.models.base import (
    BEFORE_OUTPUT,
    KINDS,
    CallChunk,
    ChatMessage,
    Chunk,
    FinishChunk,
    ModelError,
    ModelRequest,
    ReasoningChunk,
    TextChunk,
    UsageChunk,
)
from parley_agent_worker.models.directives import Directive, split

DEMO = "demo"
_WORD = re.compile(r"\s*\S+\s*|\s+")
_INTRODUCTION = """\
Hello, I am Parley. No model is connected yet, so all I can do is repeat what you say.

To connect one, start a model server on this machine (llama-server, llama-swap or Ollama; I look \
for it myself), or set LOCAL_BASE_URL, OPENAI_API_KEY, ANTHROPIC_API_KEY or OPENROUTER_API_KEY and \
start Parley again. {trouble}

You said: """


class EchoModel:
    """Repeats and obeys. `trouble` says why no other model could be found."""

    def __init__(self, trouble: Callable[[], str] = str) -> None:
        self._trouble = trouble

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Chunk, None]:
        """Yield what the text's directives ask for; see `Model.stream`."""
        pieces = split(request.question)
        directives = [piece for piece in pieces if isinstance(piece, Directive)]
        _fail(directives, before_output=True)
        pause = _pause(directives)
        results = _tool_results(request.messages)
        thought = "" if results else " ".join(_arguments(directives, "think"))
        for word in _words(thought):
            yield ReasoningChunk(word)
            await asyncio.sleep(pause)
        tools = [each for each in directives if each.verb == "tool"]
        if len(results) < len(tools) and not request.conclude:
            for number, tool in enumerate(tools, start=1):
                yield CallChunk(
                    ToolCall(id=f"echo-{number}", name=tool.name, arguments=tool.argument)
                )
            yield FinishChunk("tool_calls")
            return
        answer = self._answer(request, pieces, results)
        words = _words(answer)
        for word in words:
            yield TextChunk(word)
            await asyncio.sleep(pause)
        _fail(directives, before_output=False)
        yield UsageChunk(
            Usage(input_tokens=len(_words(request.question)), output_tokens=len(words))
        )
        yield FinishChunk("stop")

    def _answer(
        self, request: ModelRequest, pieces: list[str | Directive], results: list[str]
    ) -> str:
        if not any(isinstance(piece, Directive) for piece in pieces):
            introduction = self._introduction() if request.model == DEMO else ""
            return introduction + request.question
        remaining = iter(results)
        return "".join(_spoken(piece, remaining) for piece in pieces).strip()

    def _introduction(self) -> str:
        return _INTRODUCTION.format(trouble=self._trouble()).replace(" \n", "\n")


def _spoken(piece: str | Directive, results: Iterator[str]) -> str:
    if isinstance(piece, str):
        return piece
    if piece.verb == "tool":
        return next(results, "")
    if piece.verb == "long":
        return " ".join(f"word{number}" for number in range(1, int(_number(piece)) + 1))
    return ""


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


def _arguments(directives: list[Directive], verb: str) -> list[str]:
    return [each.argument for each in directives if each.verb == verb]


def _number(directive: Directive) -> float:
    """Return the directive's number, 0 or more; raise ModelError for anything else."""
    try:
        number = float(directive.argument)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1_000_000:
        shown = f"[[{directive.verb} {directive.argument}]]"
        raise ModelError("bad-request", f"{shown} needs a number from 0 to below 1,000,000.")
    return number


def _pause(directives: list[Directive]) -> float:
    """Return the seconds between words."""
    return max((_number(each) for each in directives if each.verb == "slow"), default=0.0)


def _fail(directives: list[Directive], *, before_output: bool) -> None:
    for kind in _arguments(directives, "fail"):
        if kind not in KINDS:
            known = ", ".join(KINDS)
            raise ModelError("bad-request", f"[[fail {kind}]] is no kind of failure: {known}.")
        if (kind in BEFORE_OUTPUT) == before_output:
            raise ModelError(kind, f"{KINDS[kind]} The message asked for this by [[fail {kind}]].")


def _tool_results(messages: Sequence[ChatMessage]) -> list[str]:
    """Return the outputs of the tools that this turn has called, in order."""
    newest = max((at for at, each in enumerate(messages) if each["role"] == "user"), default=0)
    return [each["content"] for each in messages[newest:] if each["role"] == "tool"]
