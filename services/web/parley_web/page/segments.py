"""The pieces of a running answer, each with an element of its own: text, reasoning, tool calls.

A segment takes what events tell at once, and hands it to the page when it is asked: `html` for an
element that the page does not have yet, `changes` from then on.
"""

from __future__ import annotations

from parley_web.markdown import GrowingMarkdown
from parley_web.markdown.incremental import Growth
from parley_web.page import markup, patches
from parley_web.page.calls import ToolCall
from parley_web.page.patches import Patch


class TextSegment:
    """Markdown, as far as it is written."""

    def __init__(self, key: str) -> None:
        self._id, self._tail, self._code = f"text-{key}", f"tail-{key}", f"code-{key}"
        self._growing = GrowingMarkdown(self._code)
        self._pieces: list[str] = []
        self._new = self._settled = self._closed = False

    def append(self, text: str) -> None:
        """Take the next piece."""
        self._pieces.append(text)
        self._growing.append(text)
        self._new = True

    @property
    def text(self) -> str:
        """What was taken so far."""
        return "".join(self._pieces)

    def settle(self) -> None:
        """Nothing more will come."""
        self._settled = True

    def html(self) -> str:
        """Return the whole element."""
        growth = self._grow()
        tail = "" if self._closed else markup.tail(self._tail, growth.tail or "")
        return markup.text(self._id, growth.closed + tail)

    def changes(self) -> list[Patch]:
        """Return what the page has to change since the last call."""
        if self._closed or not (self._new or self._settled):
            return []
        growth = self._grow()
        made = [patches.before(self._tail, growth.closed)] if growth.closed else []
        if self._settled:
            made.append(patches.remove(self._tail))
        elif growth.tail is not None:
            made.append(patches.replace(self._tail, markup.tail(self._tail, growth.tail)))
        elif growth.code:
            made.append(patches.extend(self._code, growth.code))
        return made

    def _grow(self) -> Growth:
        self._new, self._closed = False, self._settled
        return self._growing.close() if self._settled else self._growing.grow()


class ReasoningSegment:
    """What the model thinks aloud, plain."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._text = self._new = ""
        self._settled = self._closed = False

    def append(self, text: str) -> None:
        """Take the next piece."""
        self._new += text

    @property
    def text(self) -> str:
        """What was taken so far."""
        return self._text + self._new

    def settle(self) -> None:
        """Nothing more will come."""
        self._settled = True

    def html(self) -> str:
        """Return the whole element."""
        self._text, self._new = self.text, ""
        self._closed = self._settled
        return markup.reasoning(self._key, self._text, running=not self._closed)

    def changes(self) -> list[Patch]:
        """Return what the page has to change since the last call."""
        if self._settled != self._closed:
            return [patches.replace(f"reasoning-{self._key}", self.html())]
        new, self._new = self._new, ""
        self._text += new
        return [patches.extend(f"thoughts-{self._key}", new)] if new else []


class ToolSegment:
    """A tool call with its state."""

    def __init__(self, call: ToolCall) -> None:
        self.call = call
        """Replaced as the call goes on."""
        self._shown: ToolCall | None = None

    def settle(self) -> None:
        """A tool goes on while others start."""

    def html(self) -> str:
        """Return the whole element."""
        self._shown = self.call
        return markup.tool(self.call)

    def changes(self) -> list[Patch]:
        """Return what the page has to change since the last call."""
        if self.call == self._shown:
            return []
        return [patches.replace(self.call.id, self.html())]


Segment = TextSegment | ReasoningSegment | ToolSegment
