"""Events: what happened, on `parley.events.<thread or _>.<kind>`.

Events of a turn carry `turn_id`, `attempt` and `number`. The worker numbers an attempt's events
from 0 (`turn_started` or `turn_restarted`); the gateway's closing event has the number after the
last. Readers drop lower attempts and whatever comes after a closing event. Events of durable
changes carry the thread's `rev`: drop what is not newer than your snapshot's.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from parley_contracts.agents import Agent
from parley_contracts.base import Contract, Id, Text, Timestamp, now
from parley_contracts.messages import Message, ToolStatus, TurnError
from parley_contracts.threads import Thread


class Event(Contract):
    """What all events share."""

    kind: str
    thread_id: Id | None = None
    turn_id: Id | None = None
    attempt: int | None = None
    number: int | None = None
    rev: int | None = None
    at: Timestamp = Field(default_factory=now)


class _TurnEvent(Event):
    thread_id: Id
    turn_id: Id
    attempt: int
    number: int


class MessageAccepted(_TurnEvent):
    """A user's message is stored; its turn will run."""

    kind: Literal["message_accepted"] = "message_accepted"
    message: Message


class TurnQueued(_TurnEvent):
    """The turn waits behind `ahead` others of its thread."""

    kind: Literal["turn_queued"] = "turn_queued"
    ahead: int


class TurnStarted(_TurnEvent):
    """An agent begins; the user's message now has its position."""

    kind: Literal["turn_started"] = "turn_started"
    agent_id: Id
    message_id: Id
    position: int


class TurnRestarted(_TurnEvent):
    """Another attempt begins: drop the text so far; `text` is what recorded steps had said."""

    kind: Literal["turn_restarted"] = "turn_restarted"
    agent_id: Id
    message_id: Id
    position: int
    text: Text = ""


class ModelLoading(_TurnEvent):
    """The model server loads the model; `detail` is what it says."""

    kind: Literal["model_loading"] = "model_loading"
    detail: Text = ""


class TextDelta(_TurnEvent):
    """The next piece of the answer. `offset`: characters of the turn's text before it."""

    kind: Literal["text_delta"] = "text_delta"
    offset: int
    text: Text


class ReasoningDelta(_TurnEvent):
    """The next piece of the model's reasoning. `offset`: characters of reasoning before it."""

    kind: Literal["reasoning_delta"] = "reasoning_delta"
    offset: int
    text: Text


class ToolStarted(_TurnEvent):
    """A tool runs."""

    kind: Literal["tool_started"] = "tool_started"
    step: int
    call_id: str
    name: str
    arguments: Text


class ToolFinished(_TurnEvent):
    """A tool has ended."""

    kind: Literal["tool_finished"] = "tool_finished"
    step: int
    call_id: str
    name: str
    output: Text
    status: ToolStatus
    duration_ms: int


class ApprovalRequested(_TurnEvent):
    """The turn waits for the owner's decision on this tool call."""

    kind: Literal["approval_requested"] = "approval_requested"
    step: int
    call_id: str
    name: str
    arguments: Text


class MessageReady(_TurnEvent):
    """The answer is stored: the whole message. Closes the turn."""

    kind: Literal["message_ready"] = "message_ready"
    message: Message


class TurnFailed(_TurnEvent):
    """The turn failed; `message` keeps what was said before. Closes the turn."""

    kind: Literal["turn_failed"] = "turn_failed"
    error: TurnError
    message: Message | None = None


class TurnCancelled(_TurnEvent):
    """The turn was stopped or removed; `message` keeps what was said before. Closes the turn."""

    kind: Literal["turn_cancelled"] = "turn_cancelled"
    reason: str = ""
    message: Message | None = None


class MessageChanged(Event):
    """A queued message was edited, or (with `removed`) taken back."""

    kind: Literal["message_changed"] = "message_changed"
    thread_id: Id
    message: Message
    removed: bool = False


class ThreadChanged(Event):
    """A thread was made, renamed, archived, deleted, restored, paused or resumed."""

    kind: Literal["thread_changed"] = "thread_changed"
    thread_id: Id
    thread: Thread


class AgentChanged(Event):
    """An agent was made or changed."""

    kind: Literal["agent_changed"] = "agent_changed"
    agent: Agent


class DeliveryChanged(Event):
    """A delivery moved on."""

    kind: Literal["delivery_changed"] = "delivery_changed"
    thread_id: Id
    delivery_id: Id
    status: str


class CatalogChanged(Event):
    """A worker came, went, or can do something else."""

    kind: Literal["catalog_changed"] = "catalog_changed"
    worker_id: Id


class SessionsChanged(Event):
    """A sign-in was revoked: whoever remembers sign-ins forgets them."""

    kind: Literal["sessions_changed"] = "sessions_changed"


AnyEvent = Annotated[
    MessageAccepted
    | TurnQueued
    | TurnStarted
    | TurnRestarted
    | ModelLoading
    | TextDelta
    | ReasoningDelta
    | ToolStarted
    | ToolFinished
    | ApprovalRequested
    | MessageReady
    | TurnFailed
    | TurnCancelled
    | MessageChanged
    | ThreadChanged
    | AgentChanged
    | DeliveryChanged
    | CatalogChanged
    | SessionsChanged,
    Field(discriminator="kind"),
]

CLOSING = frozenset({"message_ready", "turn_failed", "turn_cancelled"})
"""Kinds after which nothing of that turn follows."""
