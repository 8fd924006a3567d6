"""Messages: what people and agents said, and the requests that make and change them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from parley_contracts.base import Contract, Id, MessageText, Text, Timestamp, new_id

Role = Literal["user", "agent"]
MessageStatus = Literal["queued", "complete", "stopped", "failed"]
"""queued: accepted, its turn has not begun · stopped: cut by the owner · failed: see `error`."""
ToolStatus = Literal["ok", "error", "denied", "cancelled", "unknown"]
"""unknown: a worker died while the tool ran, and the tool is not safe to repeat."""
Channel = Annotated[str, Field(max_length=40)]
"""Where a message comes from: web, telegram, terminal, api."""


class TextPart(Contract):
    """Text of one step. The text parts, joined, are the message's `text`."""

    type: Literal["text"] = "text"
    step: int
    text: Text


class ReasoningPart(Contract):
    """What the model thought aloud in one step; never part of `text`."""

    type: Literal["reasoning"] = "reasoning"
    step: int
    text: Text


class ToolPart(Contract):
    """One tool call with its result. `arguments` is the JSON text as the model wrote it."""

    type: Literal["tool"] = "tool"
    step: int
    call_id: str
    name: str
    arguments: Text
    output: Text
    status: ToolStatus
    duration_ms: int = 0


Part = Annotated[TextPart | ReasoningPart | ToolPart, Field(discriminator="type")]


class TurnError(Contract):
    """Why a turn failed: a stable `kind` and one sentence with what to do."""

    kind: Text
    detail: Text


class Message(Contract):
    """One message of a thread. With a position it is final and never changes.

    `thread_id` is the thread that owns it: in a fork, inherited messages name their ancestor.
    `agent_id` is the author of an agent's message and the addressee of a user's.
    """

    id: Id
    thread_id: Id
    position: int | None = None
    role: Role
    text: Text
    status: MessageStatus = "complete"
    agent_id: Id
    turn_id: Id
    channel: str
    origin: dict[str, Any] | None = None
    parts: tuple[Part, ...] = ()
    error: TurnError | None = None
    notes: tuple[Text, ...] = ()
    """Sentences on an answer that is not what was asked for in full: a skill that is not there, a
    length at which the model was cut."""
    created_at: Timestamp


class HistoryMessage(Contract):
    """What a worker reads of a message of the history: who said what, and where.

    The gateway sends whole messages; skipping the rest halves the time that a long history takes.
    """

    id: str
    position: int | None = None
    role: Role
    text: str
    agent_id: str
    parts: tuple[Part, ...] = ()


def _no_attachments(value: Any) -> Any:
    if value:
        raise ValueError("attachments cannot be sent yet; send the text alone")
    return ()


class SendMessage(Contract):
    """Accept a user's message and a turn that answers it.

    The same `client_id` in the same thread again returns the first result; with other content it is
    a Conflict. `agent_id` may be an agent's id or handle; without one the thread's agent answers.
    """

    thread_id: Id
    text: MessageText
    id: Id = Field(default_factory=new_id)
    turn_id: Id = Field(default_factory=new_id)
    client_id: Annotated[Text, Field(min_length=1, max_length=200)] | None = None
    agent_id: Text | None = None
    channel: Channel = "api"
    origin: dict[str, Any] | None = None
    attachments: Annotated[
        tuple[Any, ...], BeforeValidator(_no_attachments), Field(exclude=True)
    ] = ()


class MessageRef(Contract):
    """Names a message."""

    id: Id


class UpdateMessage(Contract):
    """Change the text of a message that is still queued."""

    id: Id
    text: MessageText


class EditMessage(Contract):
    """Say it differently: a sibling fork before the message, with the new text as its turn."""

    id: Id
    text: MessageText
    thread_id: Id = Field(default_factory=new_id)
    message_id: Id = Field(default_factory=new_id)
    turn_id: Id = Field(default_factory=new_id)
    channel: Channel = "api"


class RegenerateMessage(Contract):
    """Answer again: a sibling fork in which the question of this answer is asked anew."""

    id: Id
    agent_id: Text | None = None
    thread_id: Id = Field(default_factory=new_id)
    message_id: Id = Field(default_factory=new_id)
    turn_id: Id = Field(default_factory=new_id)
    channel: Channel = "api"
