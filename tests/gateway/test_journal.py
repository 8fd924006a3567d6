"""What recorded steps amount to when the gateway itself ends a turn."""

from __future__ import annotations

import pytest
from parley_contracts.messages import TextPart, ToolPart
from parley_contracts.turns import AnswerStep, ResultStep, ToolCall
from parley_gateway.store.journal import parts_of, text_of

CALL = ToolCall(id="c1", name="book", arguments="{}")
ANSWER = AnswerStep(number=0, text="I book it.", calls=(CALL,))


def result(number: int, status: str, output: str) -> ResultStep:
    return ResultStep.model_validate(
        {"number": number, "call_id": "c1", "name": "book", "output": output, "status": status}
    )


def test_rule_13_the_real_result_replaces_the_unknown_one() -> None:
    unknown, real = result(1, "unknown", "?"), result(2, "ok", "booked")
    tools = [part for part in parts_of([ANSWER, unknown, real]) if isinstance(part, ToolPart)]
    assert [(tool.status, tool.output) for tool in tools] == [("ok", "booked")]


def test_what_was_said_beyond_the_steps_is_the_last_part() -> None:
    parts = parts_of([ANSWER, result(1, "ok", "booked")], "I book it.\n\nIt is")
    assert parts[-1] == TextPart(step=1, text="\n\nIt is")
    assert text_of(parts) == "I book it.\n\nIt is"


@pytest.mark.parametrize("known", ["", "I bo", "I book it."])
def test_what_is_known_of_the_text_adds_nothing_to_steps_that_say_more(known: str) -> None:
    assert text_of(parts_of([ANSWER, result(1, "ok", "booked")], known)) == "I book it."
