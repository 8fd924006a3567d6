"""Asks the model for a turn's next answer, and a fallback when the model cannot answer at all."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import aclosing

from parley_contracts.turns import AnswerStep

from parley_agent_worker.draft import Draft
from parley_agent_worker.emitter import Emitter
from parley_agent_worker.models.base import (
    OWN_FAULT,
    CallChunk,
    Chunk,
    FinishChunk,
    LoadingChunk,
    ModelError,
    ModelRequest,
    ReasoningChunk,
    TextChunk,
    UsageChunk,
)
from parley_agent_worker.models.providers import Choice, Providers
from parley_agent_worker.progress import Progress

log = logging.getLogger(__name__)


class Asking:
    """The model's side of one attempt. `choice` is the model that was asked last."""

    def __init__(
        self, providers: Providers, models: list[str], progress: Progress, emitter: Emitter
    ) -> None:
        self._providers = providers
        self._models = models
        self._progress = progress
        self._emitter = emitter
        self._draft: Draft | None = None
        self._began = time.monotonic()
        self.first_token_ms: int | None = None
        self.choice: Choice | None = None
        self.cut = False
        """Whether the latest answer ends where the model's limit was reached."""

    async def answer(self, request: Callable[[Choice], ModelRequest]) -> AnswerStep:
        """Return the next answer, complete; it is in the account already.

        Raises the first ModelError when no model can answer, or at once when one broke off: what
        has been said is never continued by another model.
        """
        failures: list[ModelError] = []
        for at, name in enumerate(self._models):
            try:
                self.choice = await self._providers.choose(name)
                answer = await self._read(self.choice, request(self.choice))
            except ModelError as error:
                self._providers.look()
                if self._said_something or error.kind in OWN_FAULT:
                    raise
                log.warning("%s gives no answer: %s", name, error.detail)
                failures.append(error)
            else:
                self._models = self._models[at:]
                return answer
        raise failures[0]

    def break_off(self) -> AnswerStep | None:
        """Take into account what the model had said when it was interrupted, and return it."""
        if self._draft is None or not self._draft.begun:
            return None
        return self._complete(self._draft.answer(self._progress.take_number(), complete=False))

    @property
    def _said_something(self) -> bool:
        return bool(self._progress.answers) or bool(self._draft and self._draft.begun)

    async def _read(self, choice: Choice, request: ModelRequest) -> AnswerStep:
        self._draft = Draft(self._progress, choice.name)
        async with aclosing(choice.model.stream(request)) as chunks:
            async for chunk in chunks:
                self._take(chunk, self._draft)
        return self._complete(self._draft.answer(self._progress.take_number(), complete=True))

    def _complete(self, answer: AnswerStep) -> AnswerStep:
        self._draft = None
        self._progress.add(answer)
        return answer

    def _take(self, chunk: Chunk, draft: Draft) -> None:
        match chunk:
            case TextChunk(text):
                self._note_first_token()
                self._emitter.text(draft.add_text(text))
            case ReasoningChunk(text):
                self._note_first_token()
                self._emitter.reasoning(draft.add_reasoning(text))
            case CallChunk(call):
                draft.add_call(call)
            case UsageChunk(usage):
                draft.add_usage(usage)
            case FinishChunk(reason):
                self.cut = reason == "length"
            case LoadingChunk(detail):
                self._emitter.loading(detail)

    def _note_first_token(self) -> None:
        if self.first_token_ms is None:
            self.first_token_ms = round((time.monotonic() - self._began) * 1000)
