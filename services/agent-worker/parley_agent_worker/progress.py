"""What a turn has come to: a pure account of its steps, from which everything else follows.

It is built from the recorded steps, so that a turn that was taken over goes on as if nothing had
happened: what is to be done next depends on the account alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from parley_contracts.messages import Part, ReasoningPart, TextPart, ToolPart
from parley_contracts.turns import AnswerStep, ResultStep, Step, ToolCall, Usage

MOST_ANSWERS = 12
"""How many times a turn may ask the model."""
MOST_REPEATS = 3
"""The third identical call ends the calling."""
SEPARATOR = "\n\n"
"""Stands between the texts of two steps, and belongs to the later one."""


class Progress:
    """A turn's answers and results, in order."""

    def __init__(self, steps: Iterable[Step] = ()) -> None:
        self.answers: list[AnswerStep] = []
        self._results: dict[str, ResultStep] = {}
        self._asked: Counter[tuple[str, str]] = Counter()
        self._next_number = 0
        for step in steps:
            self.add(step)

    def add(self, step: Step) -> None:
        """Take a finished step into account. A later result of a call replaces an earlier one."""
        self._next_number = max(self._next_number, step.number + 1)
        if isinstance(step, ResultStep):
            self._results[step.call_id] = step
        else:
            self.answers.append(step)
            self._asked.update((call.name, call.arguments) for call in step.calls)

    def take_number(self) -> int:
        """Return the number of the next step."""
        self._next_number += 1
        return self._next_number - 1

    @property
    def pending(self) -> tuple[ToolCall, ...]:
        """The calls of the latest answer that have no result."""
        calls = self.answers[-1].calls if self.answers else ()
        return tuple(call for call in calls if call.id not in self._results)

    @property
    def answered(self) -> bool:
        """Whether the latest answer asks for nothing more."""
        return bool(self.answers) and not self.answers[-1].calls

    @property
    def must_conclude(self) -> bool:
        """Whether the next answer has to be the last."""
        circling = any(times >= MOST_REPEATS for times in self._asked.values())
        return circling or len(self.answers) >= MOST_ANSWERS - 1

    @property
    def exhausted(self) -> bool:
        """Whether the model was asked for the last time, and still wants more."""
        return len(self.answers) >= MOST_ANSWERS and not self.pending

    def circles(self, call: ToolCall) -> bool:
        """Return whether this very call has had its results already, again and again."""
        same = (
            each.id in self._results
            for answer in self.answers
            for each in answer.calls
            if (each.name, each.arguments) == (call.name, call.arguments)
        )
        return sum(same) >= MOST_REPEATS - 1

    def knows(self, call_id: str) -> bool:
        """Return whether the turn has a call of this id."""
        return any(call.id == call_id for answer in self.answers for call in answer.calls)

    @property
    def text(self) -> str:
        """The text so far; it equals the joined text deltas."""
        return "".join(answer.text for answer in self.answers)

    @property
    def usage(self) -> Usage | None:
        """The tokens of all answers together, if the provider told any."""
        known = [answer.usage for answer in self.answers if answer.usage]
        if not known:
            return None
        return Usage(
            input_tokens=sum(usage.input_tokens for usage in known),
            output_tokens=sum(usage.output_tokens for usage in known),
            cached_tokens=sum(usage.cached_tokens for usage in known),
            reasoning_tokens=sum(usage.reasoning_tokens for usage in known),
        )

    def parts(self) -> list[Part]:
        """Return the message's parts; every call has one, with or without a result."""
        return [part for answer in self.answers for part in self._parts_of(answer)]

    def _parts_of(self, answer: AnswerStep) -> Iterable[Part]:
        if answer.reasoning:
            yield ReasoningPart(step=answer.number, text=answer.reasoning)
        if answer.text:
            yield TextPart(step=answer.number, text=answer.text)
        for call in answer.calls:
            yield self._tool_part(answer.number, call)

    def _tool_part(self, step: int, call: ToolCall) -> ToolPart:
        result = self._results.get(call.id)
        return ToolPart(
            step=step,
            call_id=call.id,
            name=call.name,
            arguments=call.arguments,
            output=result.output if result else "",
            status=result.status if result else "cancelled",
            duration_ms=result.duration_ms if result else 0,
        )
