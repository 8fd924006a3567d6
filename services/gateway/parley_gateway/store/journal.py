"""What is recorded of a turn: its steps, the owner's decisions on its calls.

And what the steps add up to when the turn ends without its worker.
"""

from __future__ import annotations

from parley_contracts.messages import Part, ReasoningPart, TextPart, ToolPart
from parley_contracts.turns import AnswerStep, Decision, ResultStep, Step, ToolCall
from pydantic import TypeAdapter
from sqlalchemy import bindparam, insert, select

from parley_gateway.store.schema import turn_decisions, turn_steps
from parley_gateway.store.statement import Statement
from parley_gateway.store.transaction import Transaction

_STEP: TypeAdapter[Step] = TypeAdapter(Step)
_ADD = Statement(insert(turn_steps))
_HAS = Statement(
    select(turn_steps.c.number).where(
        turn_steps.c.turn_id == bindparam("turn_id"), turn_steps.c.number == bindparam("number")
    )
)
_STEPS = Statement(
    select(turn_steps.c.json)
    .where(turn_steps.c.turn_id == bindparam("turn_id"))
    .order_by(turn_steps.c.number)
)
_DECISIONS = Statement(
    select(turn_decisions.c.step, turn_decisions.c.decision).where(
        turn_decisions.c.turn_id == bindparam("turn_id")
    )
)


def add_step(tx: Transaction, turn_id: str, step: AnswerStep | ResultStep) -> bool:
    """Record a step; False when its number was recorded before."""
    if tx.one(_HAS, turn_id=turn_id, number=step.number):
        return False
    tx.run(_ADD, turn_id=turn_id, number=step.number, json=step.encode().decode())
    return True


def encoded_steps(tx: Transaction, turn_id: str) -> list[str]:
    """Return the JSON of a turn's steps, in order."""
    return [row[0] for row in tx.all(_STEPS, turn_id=turn_id)]


def read_steps(tx: Transaction, turn_id: str) -> list[Step]:
    """Return a turn's steps, in order."""
    return [_STEP.validate_json(json) for json in encoded_steps(tx, turn_id)]


def read_decisions(tx: Transaction, turn_id: str) -> dict[str, Decision]:
    """Return the owner's decisions by the ids of the calls."""
    return dict(tx.all(_DECISIONS, turn_id=turn_id))


def stopped(steps: list[Step]) -> list[Step]:
    """Return the steps of a turn that was stopped: calls without a result were stopped, too."""
    ended = calls_with_result(steps)
    cut = [call for step in steps for call in _calls(step) if call.id not in ended]
    number = len(steps)
    return steps + [
        ResultStep(
            number=number + n, call_id=call.id, name=call.name, output="", status="cancelled"
        )
        for n, call in enumerate(cut)
    ]


def calls_with_result(steps: list[Step]) -> set[str]:
    """Return the ids of the calls that are over."""
    return {step.call_id for step in steps if isinstance(step, ResultStep)}


def parts_of(steps: list[Step], text: str = "") -> tuple[Part, ...]:
    """Return the message parts that steps amount to.

    `text` is what the whole turn said, as far as it is known, which may be less than the steps say:
    what goes beyond them becomes the last part. A call's later result replaces the one that said
    that its outcome is unknown.
    """
    parts: list[Part] = []
    results = {step.call_id: step for step in steps if isinstance(step, ResultStep)}
    calls = {call.id: call.arguments for step in steps for call in _calls(step)}
    number = 0
    for step in steps:
        if isinstance(step, AnswerStep):
            number = step.number
            parts += _answer_parts(step)
        elif results[step.call_id] is step:
            parts.append(_tool_part(step, number, calls.get(step.call_id, "{}")))
    said = text_of(parts)
    if text != said and text.startswith(said):
        parts.append(TextPart(step=number + 1, text=text[len(said) :]))
    return tuple(parts)


def text_of(parts: list[Part] | tuple[Part, ...]) -> str:
    """Return the text that parts hold."""
    return "".join(part.text for part in parts if isinstance(part, TextPart))


def _calls(step: Step) -> tuple[ToolCall, ...]:
    return step.calls if isinstance(step, AnswerStep) else ()


def _answer_parts(step: AnswerStep) -> list[Part]:
    parts: list[Part] = []
    if step.reasoning:
        parts.append(ReasoningPart(step=step.number, text=step.reasoning))
    if step.text:
        parts.append(TextPart(step=step.number, text=step.text))
    return parts


def _tool_part(step: ResultStep, number: int, arguments: str) -> ToolPart:
    return ToolPart(
        step=number,
        call_id=step.call_id,
        name=step.name,
        arguments=arguments,
        output=step.output,
        status=step.status,
        duration_ms=step.duration_ms,
    )
