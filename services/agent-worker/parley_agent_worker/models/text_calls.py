"""Finds tool calls that a model server left in the text: `<tool_call>{…}</tool_call>`.

Only a whole block counts, and only when it names a tool that was offered; everything else is what
the model has said. A block is held back until its end is there, the rest passes at once.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator

from parley_contracts.base import new_id
from parley_contracts.turns import ToolCall

from parley_agent_worker.models.base import CallChunk, TextChunk

OPENING = "<tool_call>"
CLOSING = "</tool_call>"


class TextCalls:
    """Takes the text of one answer apart; `names` are the tools that were offered."""

    def __init__(self, names: Container[str]) -> None:
        self._names = names
        self._held = ""

    def feed(self, piece: str) -> Iterator[TextChunk | CallChunk]:
        """Yield what is text or call for certain."""
        if not self._held and "<" not in piece:
            yield from _text(piece)
            return
        text = self._held + piece
        while (opening := text.find(OPENING)) >= 0:
            closing = text.find(CLOSING, opening)
            if closing < 0:
                break
            yield from _text(text[:opening])
            yield self._block(text[opening : closing + len(CLOSING)])
            text = text[closing + len(CLOSING) :]
        certain = opening if opening >= 0 else len(text) - _beginning(text)
        self._held = text[certain:]
        yield from _text(text[:certain])

    def rest(self) -> Iterator[TextChunk]:
        """Yield what was held back and never became a call."""
        held, self._held = self._held, ""
        yield from _text(held)

    def _block(self, block: str) -> TextChunk | CallChunk:
        try:
            wish = json.loads(block.removeprefix(OPENING).removesuffix(CLOSING))
            name, arguments = wish["name"], wish.get("arguments", {})
            written = arguments if isinstance(arguments, str) else json.dumps(arguments)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return TextChunk(block)
        if not isinstance(name, str) or name not in self._names:
            return TextChunk(block)
        return CallChunk(ToolCall(id=f"call-{new_id()}", name=name, arguments=written))


def _text(text: str) -> Iterator[TextChunk]:
    if text:
        yield TextChunk(text)


def _beginning(text: str) -> int:
    """Return how many characters at the end may be the beginning of a block."""
    longest = min(len(text), len(OPENING) - 1)
    return next((n for n in range(longest, 0, -1) if OPENING.startswith(text[-n:])), 0)
