"""An answer on the terminal is whole and once, whatever was seen of its events."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from parley_contracts.events import (
    Event,
    MessageReady,
    TextDelta,
    TurnCancelled,
    TurnFailed,
    TurnRestarted,
)
from parley_contracts.messages import Message, TurnError
from parley_launcher.answer import DONE, FAILED, STOPPED, Answer

TURN: dict[str, Any] = {"thread_id": "t", "turn_id": "u", "number": 1}


def delta(offset: int, text: str, attempt: int = 1) -> TextDelta:
    return TextDelta(**TURN, attempt=attempt, offset=offset, text=text)


def message(text: str) -> Message:
    return Message(
        id="m",
        thread_id="t",
        position=2,
        role="agent",
        text=text,
        agent_id="a",
        turn_id="u",
        channel="api",
        created_at=datetime.now(UTC),
    )


def ready(text: str, attempt: int = 1) -> MessageReady:
    return MessageReady(**TURN, attempt=attempt, message=message(text))


def restarted(text: str, attempt: int = 2) -> TurnRestarted:
    return TurnRestarted(
        **TURN, attempt=attempt, agent_id="a", message_id="m", position=1, text=text
    )


def shown(*events: Event) -> tuple[int | None, str, str]:
    """Return the last exit code, standard output and standard error."""
    out, aside = io.StringIO(), io.StringIO()
    answer = Answer("u", out, aside)
    code = [answer.take(each) for each in events][-1]
    return code, out.getvalue(), aside.getvalue()


class Terminal(io.StringIO):
    """Somebody's terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_no_control_characters_and_a_pipe_gets_all() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    for out in (terminal, pipe):
        Answer("u", out, out).take(ready("one\ttwo\n\x1b]0;title\x07🎉"))
    assert terminal.getvalue() == "one\ttwo\n\ufffd]0;title\ufffd🎉\n"
    assert pipe.getvalue() == "one\ttwo\n\x1b]0;title\x07🎉\n"


def test_text_appears_as_it_comes() -> None:
    assert shown(delta(0, "Hel"), delta(3, "lo")) == (None, "Hello", "")


def test_the_closing_event_ends_the_line() -> None:
    assert shown(delta(0, "Hello"), ready("Hello")) == (DONE, "Hello\n", "")


def test_text_that_ends_its_own_line_gets_no_second_end() -> None:
    assert shown(delta(0, "Hello\n"), ready("Hello\n")) == (DONE, "Hello\n", "")


def test_lost_deltas_are_made_up_for_at_the_end() -> None:
    assert shown(delta(0, "He"), delta(4, "o!"), ready("Hello!")) == (DONE, "Hello!\n", "")


def test_a_delta_that_comes_twice_is_shown_once() -> None:
    assert shown(delta(0, "ha"), delta(0, "ha"), delta(2, "ha")) == (None, "haha", "")


def test_other_turns_are_not_shown() -> None:
    other = delta(0, "x").model_copy(update={"turn_id": "other"})
    assert shown(other) == (None, "", "")


def test_rule_21_a_restart_begins_anew_and_lower_attempts_are_dropped() -> None:
    code, out, aside = shown(
        delta(0, "first"), restarted("kept "), delta(5, " late", 1), delta(5, "second", 2)
    )
    assert (code, out) == (None, "first\nkept second")
    assert aside == "the answer begins anew\n"


def test_a_restart_that_loses_nothing_goes_on_without_a_word() -> None:
    found = shown(delta(0, "first"), restarted("first and"), delta(9, " second", 2))
    assert found == (None, "first and second", "")


def test_text_that_differs_from_what_was_shown_is_shown_whole() -> None:
    assert shown(delta(0, "abc"), ready("xyz")) == (DONE, "abc\nxyz\n", "")


def test_what_an_answer_lacks_is_told_beside_it() -> None:
    noted = MessageReady(
        **TURN, attempt=1, message=message("text").model_copy(update={"notes": ("No skill x.",)})
    )
    assert shown(noted) == (DONE, "text\n", "No skill x.\n")


def test_a_failure_shows_what_was_said_and_why() -> None:
    error = TurnError(kind="model", detail="The model is down; start it.")
    failed = TurnFailed(**TURN, attempt=1, error=error, message=message("partly"))
    assert shown(delta(0, "part"), failed) == (FAILED, "partly\n", "The model is down; start it.\n")


@pytest.mark.parametrize("kept", [message("part"), None])
def test_a_stopped_answer_keeps_what_was_said(kept: Message | None) -> None:
    stopped = TurnCancelled(**TURN, attempt=1, reason="stopped by the owner", message=kept)
    assert shown(delta(0, "part"), stopped) == (STOPPED, "part\n", "stopped by the owner\n")
