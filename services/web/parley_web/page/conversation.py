"""One open thread as one page shows it: a snapshot, then patches for every event (rules 21, 23).

Nothing here waits or reads: events go in, patches come out. What the snapshot shows already is
recognised and dropped, so the page may be told of an event that is older than its snapshot.
"""

from __future__ import annotations

from parley_contracts.events import (
    AnyEvent,
    ApprovalRequested,
    MessageAccepted,
    MessageChanged,
    MessageReady,
    ThreadChanged,
    ToolStarted,
    TurnCancelled,
    TurnFailed,
    TurnRestarted,
    TurnStarted,
)
from parley_contracts.messages import Message
from parley_contracts.threads import ThreadView

from parley_web.page import markup, patches
from parley_web.page.answer import Answer, Progress
from parley_web.page.patches import Patch
from parley_web.page.people import People
from parley_web.page.versions import versions_in

Ending = MessageReady | TurnFailed | TurnCancelled


class Missed(Exception):
    """The page cannot be patched from here; a new snapshot can."""


class Conversation:
    """The state of a page that shows a thread."""

    def __init__(self, view: ThreadView, people: People) -> None:
        self.thread = view.thread
        self.people = people
        self.messages = view.messages
        self.before = view.before
        self.versions = versions_in(view)
        self.waiting = {message.id: message for message in view.queued}
        self.answer: Answer | None = None
        self._snapshot_rev = view.thread.rev
        self._position = view.messages[-1].position or 0 if view.messages else 0
        self._over = {each.turn_id for each in view.messages if each.role == "agent"}
        if view.turn and view.turn.attempt:
            self._begin(view.turn.id, view.turn.agent_id)

    @property
    def queue(self) -> list[str]:
        """The articles of the messages that wait."""
        return [self._waiting(each) for each in self.waiting.values()]

    @property
    def held(self) -> int:
        """How many messages wait until the owner lets a queue go on that Stop paused."""
        return sum(map(self._waits, self.waiting.values())) if self.thread.paused else 0

    @property
    def addressee(self) -> str:
        """The agent that was asked last, who is asked next unless another one is chosen."""
        asked = [each for each in (*self.messages, *self.waiting.values()) if each.role == "user"]
        return asked[-1].agent_id if asked else self.thread.agent_id

    def apply(self, event: AnyEvent) -> list[Patch]:
        """Take an event of this thread and return what the page has to change at once.

        Raises Missed when an event before this one must have been lost.
        """
        if event.rev is not None and event.rev <= self._snapshot_rev:
            return []
        match event:
            case MessageAccepted():
                return self._accepted(event.message)
            case TurnStarted() | TurnRestarted():
                return self._started(event)
            case MessageReady() | TurnFailed() | TurnCancelled():
                return self._ended(event)
            case MessageChanged():
                return self._changed(event)
            case ThreadChanged():
                return self._renewed(event)
            case _ if isinstance(event, Progress):
                return self._progress(event)
        return []

    def recall(self, event: AnyEvent) -> None:
        """Take an event from before the snapshot: only the running answer needs it."""
        if self.answer and event.turn_id == self.answer.turn_id and isinstance(event, Progress):
            self.answer.apply(event)

    def since(self, known: int) -> list[Patch]:
        """Return what brings a page that shows messages up to position `known` to this state."""
        shown = self.messages
        if shown and (shown[0].position or 0) > known + 1:
            made = [patches.replace("messages", markup.messages(self.articles(), self.before))]
        else:
            made = [patches.append("messages", each) for each in self.articles(after=known)]
        made += [self._running(), patches.replace("queue", markup.queue(self.queue))]
        return made + self._head() + self._controls()

    def articles(self, after: int = 0) -> list[str]:
        """Return the articles of the messages after a position."""
        return [self._settled(each) for each in self.messages if (each.position or 0) > after]

    def gap(self, below: int) -> markup.Gap | None:
        """Return what is missing between these messages and a position that the page shows."""
        last = self.messages[-1].position or 0 if self.messages else below
        return (last, below) if last + 1 < below else None

    def _settled(self, message: Message) -> str:
        return markup.message(message, self.people, self.versions.get(message.position))

    def _waiting(self, message: Message) -> str:
        return markup.waiting(message, self._waits(message))

    def _waits(self, message: Message) -> bool:
        """Tell whether a message waits for other turns; the one that is next at once does not."""
        return message.turn_id != self.thread.open_turn

    def _running(self) -> Patch:
        answer = self.answer.html() if self.answer else ""
        return patches.replace("running", markup.running(answer))

    def _accepted(self, message: Message) -> list[Patch]:
        if message.turn_id in self._over:
            return []
        self.waiting[message.id] = message
        if self.thread.open_turn is None:
            self._open(message.turn_id)
        return [patches.append("queue", self._waiting(message)), *self._controls()]

    def _started(self, event: TurnStarted | TurnRestarted) -> list[Patch]:
        if event.turn_id in self._over:
            return []
        made = self._settle(event.message_id, event.position)
        answer = self.answer
        if answer is None or answer.turn_id != event.turn_id:
            self._open(event.turn_id)
            answer = self._begin(event.turn_id, event.agent_id)
            made.append(self._running())
            made += [*self._controls(), patches.announce(f"{answer.author.name} is answering.")]
        answer.apply(event)
        return made

    def _progress(self, event: Progress) -> list[Patch]:
        answer = self.answer
        if answer is None or event.turn_id != answer.turn_id:
            if event.turn_id in self._over:
                return []
            raise Missed
        answer.apply(event)
        match event:
            case ToolStarted():
                return [patches.announce(f"{event.name} runs.")]
            case ApprovalRequested():
                return [patches.announce(f"{event.name} waits for your decision.")]
        return []

    def _ended(self, event: Ending) -> list[Patch]:
        self._over.add(event.turn_id)
        made: list[Patch] = []
        if event.message:
            made += self._settle_question(event.turn_id, event.message)
            made.append(patches.append("messages", self._settled(event.message)))
        made += self._withdraw(event.turn_id)
        if self.thread.open_turn == event.turn_id:
            self._open(None)
            self.answer = None
            made.append(self._running())
        return [*made, *self._controls(), patches.announce(_told(event, self.people))]

    def _changed(self, event: MessageChanged) -> list[Patch]:
        message = event.message
        if message.id not in self.waiting:
            return []
        if event.removed:
            return [*self._withdraw(message.turn_id), *self._controls()]
        self.waiting[message.id] = message
        return [patches.replace(f"message-{message.id}", self._waiting(message))]

    def _renewed(self, event: ThreadChanged) -> list[Patch]:
        self.thread = event.thread
        return self._head() + self._controls()

    def _begin(self, turn_id: str, agent_id: str) -> Answer:
        self.answer = Answer(turn_id, self.people[agent_id])
        return self.answer

    def _open(self, turn_id: str | None) -> None:
        self.thread = self.thread.model_copy(update={"open_turn": turn_id})

    def _settle(self, message_id: str, position: int) -> list[Patch]:
        """Give a waiting question its position; a retried one has it already."""
        message = self.waiting.pop(message_id, None)
        if message is None:
            if position > self._position:
                raise Missed
            return []
        self._position = position
        final = message.model_copy(update={"position": position, "status": "complete"})
        return [patches.append("messages", self._settled(final))]

    def _settle_question(self, turn_id: str, reply: Message) -> list[Patch]:
        """A turn may end before it began; its question then stands right before the reply."""
        position = reply.position or self._position
        asked = [each.id for each in self.waiting.values() if each.turn_id == turn_id]
        made = [patch for each in asked for patch in self._settle(each, position - 1)]
        self._position = position
        return made

    def _withdraw(self, turn_id: str) -> list[Patch]:
        gone = [each.id for each in self.waiting.values() if each.turn_id == turn_id]
        for id in gone:
            del self.waiting[id]
        return [patches.remove(f"message-{id}") for id in gone]

    def _head(self) -> list[Patch]:
        return [
            patches.replace("thread-heading", markup.heading(self.thread)),
            patches.replace("thread-choices", markup.choices(self.thread)),
            patches.title(self.thread.title),
        ]

    def _controls(self) -> list[Patch]:
        return [
            patches.replace("controls", markup.controls(self.thread.open_turn)),
            patches.replace("paused", markup.paused(self.held)),
        ]


def _told(event: Ending, people: People) -> str:
    """Return what people hear who listen to the page."""
    match event:
        case MessageReady():
            return f"{people[event.message.agent_id].name} has answered."
        case TurnFailed():
            return f"The answer failed: {event.error.detail}"
        case TurnCancelled():
            return "Stopped."
