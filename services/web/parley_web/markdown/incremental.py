"""Markdown that grows at its end: closed blocks are rendered once, only the open tail again.

A top-level block is closed when another block has begun behind a blank line; only complete lines
decide, so a half-written line never closes anything. An open code fence is shown plain, piece by
piece, and coloured when it closes.

The joined output equals `render()` of the whole, except where a link is used before its definition.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from html import escape
from typing import Any

from markdown_it.token import Token

from parley_web.markdown.renderer import code_frame, html_of, parsed

_LINE_END = re.compile(r"\r\n?")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")


@dataclass(frozen=True)
class Growth:
    """What to change on the page: put `closed` before the tail, replace the tail's content by
    `tail` unless it is None, add `code` as text to the open code block."""

    closed: str = ""
    tail: str | None = None
    code: str = ""


@dataclass(frozen=True)
class _OpenFence:
    before: str
    """HTML of what stands before the fence in the tail."""
    language: str
    code: str


class GrowingMarkdown:
    """One growing text. `code_id` is the element id that an open code block gets."""

    def __init__(self, code_id: str = "") -> None:
        self._code_id = code_id
        self._open = ""
        self._held = ""
        self._env: dict[str, Any] = {}
        """What the closed blocks have defined for those to come, and left of the time."""
        self._lines_seen = 0
        self._fence: _OpenFence | None = None

    def append(self, text: str) -> None:
        """Take the next piece of text; costs nothing until `grow`."""
        text = self._held + text
        self._held = "\r" if text.endswith("\r") else ""
        self._open += _LINE_END.sub("\n", text.removesuffix(self._held))

    def grow(self) -> Growth:
        """Render what came since the last call."""
        closed = self._close_blocks()
        fence_before, self._fence = self._fence, None
        tokens = parsed(self._open, copy.deepcopy(self._env))
        if tokens and _is_open_fence(tokens[-1], self._open):
            return self._grow_fence(closed, tokens, fence_before)
        return Growth(closed, tail=html_of(tokens, {}))

    def close(self) -> Growth:
        """Render the rest for good; nothing may follow."""
        rest = self._open + ("\n" if self._held else "")
        self._open, self._held, self._fence = "", "", None
        return Growth(closed=self._render(rest), tail="")

    def _close_blocks(self) -> str:
        """Take the closed blocks out of the open text and return their HTML."""
        complete = self._open[: self._open.rfind("\n") + 1]
        lines = complete.count("\n")
        if lines == self._lines_seen or not _BLANK_LINE.search(complete):
            return ""
        boundary = _last_boundary(complete, copy.deepcopy(self._env))
        self._lines_seen = lines - complete.count("\n", 0, boundary)
        closed, self._open = self._open[:boundary], self._open[boundary:]
        return self._render(closed)

    def _render(self, text: str) -> str:
        return html_of(parsed(text, self._env), self._env) if text else ""

    def _grow_fence(self, closed: str, tokens: list[Token], earlier: _OpenFence | None) -> Growth:
        token = tokens[-1]
        language = token.info.strip().partition(" ")[0]
        fence = self._fence = _OpenFence(html_of(tokens[:-1], {}), language, token.content)
        same = earlier and (earlier.before, earlier.language) == (fence.before, language)
        if earlier and same and not closed and fence.code.startswith(earlier.code):
            return Growth(code=fence.code[len(earlier.code) :])
        frame = code_frame(escape(fence.code), language, self._code_id)
        return Growth(closed, tail=fence.before + frame)


def _last_boundary(complete: str, env: dict[str, Any]) -> int:
    """Return the offset of the last block that begins behind a blank line, or 0."""
    tokens = parsed(complete, env)
    lines = complete.split("\n")
    for token in reversed(tokens):
        if token.level == 0 and token.map and token.nesting >= 0:
            start = token.map[0]
            if start and not lines[start - 1].strip(" \t"):
                return sum(len(line) + 1 for line in lines[:start])
    return 0


def _is_open_fence(token: Token, text: str) -> bool:
    if token.type != "fence" or token.map is None:
        return False
    first, last = token.map
    closing = rf" {{0,3}}{re.escape(token.markup)}{re.escape(token.markup[0])}*[ \t]*"
    return last - first < 2 or not re.fullmatch(closing, text.split("\n")[last - 1])
