"""An agent's answer as it appears on the terminal, put together from its turn's events."""

from __future__ import annotations

from typing import TextIO

from parley_contracts.events import (
    ApprovalRequested,
    Event,
    MessageReady,
    ModelLoading,
    TextDelta,
    TurnCancelled,
    TurnFailed,
    TurnRestarted,
)

DONE, FAILED, STOPPED = 0, 1, 2
_HARMLESS = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
"""Control characters move a terminal's cursor and more; a model's words must not."""


class Answer:
    """Writes text to `out` as it comes, remarks to `aside`, and knows when the turn is over.

    By the readers' rules (21): events of lower attempts are dropped, a restart drops the text so
    far, and the closing event's message is the truth, whatever was seen of the deltas.
    """

    def __init__(self, turn_id: str, out: TextIO, aside: TextIO) -> None:
        self._turn_id = turn_id
        self._out = out
        self._aside = aside
        self._attempt = 0
        self._text = ""

    def take(self, event: Event) -> int | None:
        """Show one event; return the exit code when it closes the turn."""
        if event.turn_id != self._turn_id or (event.attempt or 0) < self._attempt:
            return None
        self._attempt = event.attempt or 0
        match event:
            case MessageReady():
                return self.close(DONE, event.message.text, " ".join(event.message.notes))
            case TurnFailed():
                said = event.message.text if event.message else self._text
                return self.close(FAILED, said, event.error.detail)
            case TurnCancelled():
                said = event.message.text if event.message else self._text
                return self.close(STOPPED, said, event.reason or "stopped")
        self._show(event)
        return None

    def _show(self, event: Event) -> None:
        match event:
            case TurnRestarted() if event.text.startswith(self._text):
                self._write(event.text[len(self._text) :])
            case TurnRestarted():
                self._remark("the answer begins anew")
                self._begin(event.text)
            case TextDelta() if event.offset == len(self._text):
                self._write(event.text)
            case ModelLoading():
                self._remark(event.detail or "the model is being loaded")
            case ApprovalRequested():
                self._remark(f"the agent asks to use {event.name}: decide on the page")

    def close(self, code: int, text: str, remark: str = "") -> int:
        """Show what is missing of the whole text, then the remark; return the code."""
        if text.startswith(self._text):
            self._write(text[len(self._text) :])
        else:
            self._begin(text)
        self._end_line()
        if remark:
            self._remark(remark)
        return code

    def _begin(self, text: str) -> None:
        self._end_line()
        self._text = ""
        self._write(text)

    def _write(self, text: str) -> None:
        self._text += text
        _put(self._out, text)

    def _end_line(self) -> None:
        if self._text and not self._text.endswith("\n"):
            _put(self._out, "\n")

    def _remark(self, words: str) -> None:
        _put(self._aside, f"{words}\n")


def _put(stream: TextIO, text: str) -> None:
    """Write the text: to a file or pipe as it is, to a terminal without what it would obey."""
    stream.write(text.translate(_HARMLESS) if stream.isatty() else text)
    stream.flush()
