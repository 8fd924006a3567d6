"""Runs one attempt of a turn: asks the model, calls the tools, until there is an answer.

What comes next follows from the account of the steps (`progress`) alone, so an attempt that takes
over a turn begins in the middle of it without a special case.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from parley_contracts.messages import HistoryMessage, TurnError
from parley_contracts.turns import AnswerStep, FinishTurn, Outcome, TurnGranted

from parley_agent_worker import prompt
from parley_agent_worker.asking import Asking
from parley_agent_worker.calling import Calling
from parley_agent_worker.emitter import Emitter
from parley_agent_worker.journal import Journal
from parley_agent_worker.models.base import ChatMessage, ModelError, ModelRequest
from parley_agent_worker.models.providers import Choice, Providers
from parley_agent_worker.progress import Progress
from parley_agent_worker.skills import Skill
from parley_agent_worker.tools.tool import ToolContext
from parley_agent_worker.tools.toolbox import Toolbox

_CUT = (
    "The answer ends where the model's limit of tokens was reached; ask it to go on, or raise"
    " max_tokens in the agent's parameters."
)


@dataclass(frozen=True)
class Equipment:
    """What an attempt works with.

    `history` reads the conversation up to the question; `confirm` returns when the claim surely
    holds. Both raise ClaimLost when it does not.
    """

    providers: Providers
    toolbox: Toolbox
    skills: tuple[Skill, ...]
    emitter: Emitter
    journal: Journal
    history: Callable[[], Awaitable[list[HistoryMessage]]]
    confirm: Callable[[], Awaitable[None]]
    notes: tuple[str, ...] = ()
    """What the answer lacks that the agent or the message names."""


class TurnRun:
    """One attempt. `run` works until the turn ends or must wait; `finish` tells what it came to."""

    def __init__(self, granted: TurnGranted, equipment: Equipment) -> None:
        self._granted = granted
        self._history: list[HistoryMessage] = []
        self._equipment = equipment
        self._emitter = equipment.emitter
        self._progress = Progress(granted.steps)
        models = [granted.agent.model, *granted.agent.fallbacks]
        self._asking = Asking(equipment.providers, models, self._progress, self._emitter)
        self._calling = Calling(
            toolbox=equipment.toolbox,
            context=ToolContext(granted.turn.thread_id, equipment.skills),
            decisions=granted.decisions,
            progress=self._progress,
            emitter=self._emitter,
            journal=equipment.journal,
            confirm=equipment.confirm,
        )
        self._outcome: Outcome = "completed"
        self._error: TurnError | None = None
        self._unrecorded: AnswerStep | None = None

    @property
    def choice(self) -> Choice | None:
        """The model that was asked last."""
        return self._asking.choice

    @property
    def completed(self) -> bool:
        """Whether the turn has come to its answer."""
        return self._outcome == "completed" and self._progress.answered

    async def run(self) -> None:
        """Work until there is an answer, a failure, or a call that needs the owner's decision.

        Raises ClaimLost, and CancelledError when it is stopped.
        """
        reasoning = sum(len(answer.reasoning) for answer in self._progress.answers)
        self._emitter.started(self._progress.text, reasoning)
        if self._error:
            return
        self._history = await self._equipment.history()
        try:
            await self._work()
        except ModelError as error:
            self.fail(error.kind, error.detail)
        await self._equipment.journal.settled()

    def fail(self, kind: str, detail: str) -> None:
        """Let the turn end as failed; what was said stays, and nothing begins any more."""
        self._outcome, self._error = "failed", TurnError(kind=kind, detail=detail)

    def stop(self) -> None:
        """Let the turn end as cancelled; what was said stays."""
        self._outcome, self._error = "cancelled", None

    async def _work(self) -> None:
        while not self._progress.answered:
            if self._progress.exhausted:
                return self.fail(
                    "step-limit",
                    "The agent went on calling tools and came to no answer; ask for less at once, "
                    "or tell it to go on.",
                )
            if not self._progress.pending:
                await self._ask()
            elif await self._calling.call(self._progress.answers[-1]):
                self._outcome = "waiting"
                return None
        if not self._progress.text.strip():
            self.fail("empty", "The model ended without an answer; try again or choose another.")
        return None

    async def _ask(self) -> None:
        answer = await self._asking.answer(self.request)
        if answer.calls:
            self._equipment.journal.record(answer)
        else:
            self._unrecorded = answer

    def request(self, choice: Choice) -> ModelRequest:
        """Return what the model is asked next: all that it knows, this turn's steps included."""
        agent = self._granted.agent
        return ModelRequest(
            model=choice.id,
            messages=self._conversation(),
            question=self._granted.message.text,
            tools=self._equipment.toolbox.definitions(),
            conclude=self._progress.must_conclude,
            parameters=agent.parameters,
            session=self._granted.turn.thread_id,
        )

    def _conversation(self) -> list[ChatMessage]:
        agent, skills = self._granted.agent, self._equipment.skills
        return [
            *prompt.system_messages(agent, skills),
            *prompt.history_messages(self._history, agent, self._granted.agents, skills),
            *prompt.answer_messages(self._progress.parts()),
        ]

    def finish(self, slot_sequence: int) -> FinishTurn:
        """Return the request that closes or suspends the turn."""
        self._emitter.flush()
        self._unrecorded = self._asking.break_off() or self._unrecorded
        return FinishTurn(
            claim=self._granted.claim,
            outcome=self._outcome,
            text=self._progress.text,
            parts=tuple(self._progress.parts()),
            usage=self._progress.usage,
            model=self.choice.name if self.choice else None,
            first_token_ms=self._asking.first_token_ms,
            error=self._error,
            notes=self._notes(),
            step=self._unrecorded,
            last_number=self._emitter.last_number,
            slot_sequence=slot_sequence,
        )

    def _notes(self) -> tuple[str, ...]:
        """Return what the owner is told beside the answer."""
        return (*self._equipment.notes, *((_CUT,) if self._asking.cut else ()))
