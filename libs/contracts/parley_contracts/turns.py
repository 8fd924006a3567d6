"""Turns: one agent's answering of one message, from its slot to its end."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from parley_contracts.agents import Agent
from parley_contracts.base import Contract, Count, Id, Measured, Text, Timestamp, new_id
from parley_contracts.messages import HistoryMessage, Message, Part, ToolStatus, TurnError

TurnStatus = Literal["queued", "open", "waiting", "cancelling", "completed", "failed", "cancelled"]
"""queued: behind another · open: in its slot or running · waiting: for the owner's decision."""
Outcome = Literal["completed", "failed", "cancelled", "waiting"]
Decision = Literal["allow", "deny"]


class Usage(Contract):
    """Tokens of a turn as the provider reported them, over all its model calls."""

    input_tokens: Measured = 0
    output_tokens: Measured = 0
    cached_tokens: Measured = 0
    reasoning_tokens: Measured = 0


class Turn(Contract):
    """A turn as others see it. `error` is set when it failed."""

    id: Id
    thread_id: Id
    message_id: Id
    agent_id: Id
    status: TurnStatus
    attempt: int = 0
    model: str | None = None
    usage: Usage | None = None
    first_token_ms: int | None = None
    error: TurnError | None = None
    created_at: Timestamp
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None


class TurnRef(Contract):
    """Names a turn."""

    id: Id


class TurnSlot(Contract):
    """What lies in a thread's slot of PARLEY_TURNS; everything else is read at `turns.begin`."""

    turn_id: Id
    dispatch_no: int


class Claim(Contract):
    """The fence: which attempt of which turn a worker holds. A stale one is refused everywhere."""

    turn_id: Id
    attempt: Count
    claim: Id


class ToolCall(Contract):
    """A model's wish to call a tool. `arguments` is the JSON text as the model wrote it."""

    id: Text
    name: Text
    arguments: Text


class AnswerStep(Contract):
    """A finished model answer: the record of its intent before any tool starts."""

    kind: Literal["answer"] = "answer"
    number: Count
    text: Text = ""
    reasoning: Text = ""
    calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None
    model: str | None = None


class ResultStep(Contract):
    """A finished tool call; it is never run again."""

    kind: Literal["result"] = "result"
    number: Count
    call_id: Text
    name: Text
    output: Text
    status: ToolStatus
    duration_ms: int = 0


Step = Annotated[AnswerStep | ResultStep, Field(discriminator="kind")]


class BeginTurn(Contract):
    """Claim a turn from its slot. The same `claim` again gets the same answer."""

    turn_id: Id
    dispatch_no: int
    claim: Id
    worker_id: Id


class TurnGranted(Contract):
    """The claim holds: everything that the attempt needs.

    `history` ends with the message to answer and is the newest page; when `history_before` is set,
    older messages are read page by page with `turns.history`. `steps` were recorded by earlier
    attempts, `decisions` map a tool call's id to the owner's decision.
    """

    status: Literal["granted"] = "granted"
    turn: Turn
    claim: Claim
    agent: Agent
    message: Message
    history: tuple[HistoryMessage, ...]
    history_before: int | None = None
    agents: dict[str, str] = Field(default_factory=dict)
    """Display names of the agents that occur in the history, by id."""
    steps: tuple[Step, ...] = ()
    decisions: dict[str, Decision] = Field(default_factory=dict)
    untitled: bool = False
    """True when the thread still bears its provisional title."""
    lease_s: float


class TurnBusy(Contract):
    """Another worker holds a fresh lease; ask again after `retry_s` seconds."""

    status: Literal["busy"] = "busy"
    retry_s: float


class TurnOver(Contract):
    """Nothing to do: the turn is finished, deleted, or dispatched anew. Acknowledge and forget."""

    status: Literal["over"] = "over"
    reason: str


BeginReply = Annotated[TurnGranted | TurnBusy | TurnOver, Field(discriminator="status")]


class HistoryPage(Contract):
    """Messages in order of position, and where the next older page ends (None: at the start)."""

    messages: tuple[HistoryMessage, ...]
    before: int | None = None


class ReadHistory(Contract):
    """Older history of a claimed turn: positions below `before`."""

    claim: Claim
    before: Count


class RecordStep(Contract):
    """Record a finished step. The same number again is accepted and ignored."""

    claim: Claim
    step: Step


class FinishTurn(Contract):
    """Close (or, with outcome `waiting`, suspend) a turn.

    `text` is every text delta joined; `last_number` the last event that the worker numbered;
    `slot_sequence` the stream sequence of the slot's message. `step` is the last step, unrecorded.
    """

    claim: Claim
    outcome: Outcome
    text: Text = ""
    parts: tuple[Part, ...] = ()
    usage: Usage | None = None
    model: Text | None = None
    first_token_ms: Measured | None = None
    error: TurnError | None = None
    notes: tuple[Text, ...] = ()
    step: AnswerStep | None = None
    last_number: int = 0
    slot_sequence: int | None = None


class ReleaseTurn(Contract):
    """Give a claim back unfinished (orderly stop); it does not count as a failure."""

    claim: Claim
    slot_sequence: int | None = None


class CancelTurn(Contract):
    """Stop a turn; what it said so far is kept and marked."""

    id: Id
    reason: Text = "stopped by the owner"


class RetryTurn(Contract):
    """Answer again after a failure or stop; an older turn than the newest is asked at the end."""

    id: Id
    turn_id: Id = Field(default_factory=new_id)
    message_id: Id = Field(default_factory=new_id)


class DecideTurn(Contract):
    """The owner's decision on a tool call that waits for approval; the first one counts."""

    id: Id
    step: int | str
    """The tool call's id, or the number of its step where that has one call only."""
    decision: Decision


class Beat(Contract):
    """A worker's sign of life with all its claims, every 3 s."""

    worker_id: Id
    claims: tuple[Claim, ...] = ()
    info: dict[str, Any] | None = None


class BeatReply(Contract):
    """Which turns still belong to the worker, and which of them are to be stopped."""

    held: tuple[Id, ...] = ()
    cancelling: tuple[Id, ...] = ()
    lost: tuple[Id, ...] = ()
    lease_s: float
