"""A model's answer while it is being written."""

from __future__ import annotations

from parley_contracts.base import new_id
from parley_contracts.turns import AnswerStep, ToolCall, Usage

from parley_agent_worker.progress import SEPARATOR, Progress


class Draft:
    """Gathers an answer's pieces; `answer` is what they come to."""

    def __init__(self, progress: Progress, model: str) -> None:
        self._progress = progress
        self._model = model
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[ToolCall] = []
        self._usage: Usage | None = None

    @property
    def begun(self) -> bool:
        """Whether the model has said or thought anything."""
        return bool(self._text or self._reasoning)

    def add_text(self, piece: str) -> str:
        """Add to the text; return what was added, with the blank line after an earlier step."""
        if not self._text and self._progress.text:
            piece = SEPARATOR + piece
        self._text.append(piece)
        return piece

    def add_reasoning(self, piece: str) -> str:
        """Add to the reasoning; return what was added."""
        self._reasoning.append(piece)
        return piece

    def add_call(self, call: ToolCall) -> None:
        """Add a tool call, under an id that the turn has not seen: some servers repeat theirs."""
        taken = {each.id for each in self._calls}
        if call.id in taken or self._progress.knows(call.id):
            call = call.model_copy(update={"id": f"call-{new_id()}"})
        self._calls.append(call)

    def add_usage(self, usage: Usage) -> None:
        """Note the tokens that it took."""
        self._usage = usage

    def answer(self, number: int, *, complete: bool) -> AnswerStep:
        """Return the answer as a step; one that broke off calls nothing."""
        return AnswerStep(
            number=number,
            text="".join(self._text),
            reasoning="".join(self._reasoning),
            calls=tuple(self._calls) if complete else (),
            usage=self._usage,
            model=self._model,
        )
