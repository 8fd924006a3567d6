"""Threads, queues and forks as plain lists: what the gateway's store is held against."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Line = tuple[str, str, str]
"""Role, text and status of a message with a position."""


@dataclass
class Turn:
    """A turn that waits, is due, runs, or is to stop. `placed`: its question has a position."""

    id: str
    message_id: str
    text: str
    state: Literal["queued", "due", "running", "cancelling"] = "queued"
    placed: bool = False
    losses: int = 0


@dataclass
class Conversation:
    """One thread; a fork simply copies the history."""

    id: str
    history: list[Line] = field(default_factory=list)
    queue: list[Turn] = field(default_factory=list)
    open: Turn | None = None
    newest: Turn | None = None
    """The last turn that ended here with a message, while nothing came after it."""
    paused: bool = False
    deleted: bool = False

    def send(self, turn: Turn) -> None:
        self.paused = False
        self.queue.append(turn)
        self.promote()

    def promote(self) -> None:
        if self.open is None and self.queue and not self.paused and not self.deleted:
            self.open = self.queue.pop(0)
            self.open.state = "due"

    def place(self) -> None:
        assert self.open
        if not self.open.placed:
            self.history.append(("user", self.open.text, "complete"))
            self.open.placed = True

    def begin(self) -> None:
        assert self.open
        self.place()
        self.open.state = "running"

    def lose(self) -> None:
        """The worker dies; another one asks for the turn."""
        assert self.open
        self.open.losses += 1
        if self.open.losses == 3:
            self.end("", "failed")

    def finish(self, text: str, status: str) -> None:
        assert self.open
        self.end(text, "stopped" if self.open.state == "cancelling" else status)

    def end(self, text: str, status: str) -> None:
        assert self.open
        self.place()
        self.history.append(("agent", text, status))
        self.newest, self.open = self.open, None
        self.promote()

    def stop(self) -> None:
        if self.open is None:
            return
        if self.open.state == "due":
            self.end("", "stopped")
        else:
            self.open.state = "cancelling"

    def cancel(self) -> None:
        self.paused = True
        self.stop()

    def take_back(self, turn: Turn) -> None:
        if turn is self.open:
            self.open = None
        else:
            self.queue.remove(turn)
        self.promote()

    def send_now(self, turn: Turn) -> None:
        self.queue.remove(turn)
        self.queue.insert(0, turn)
        self.paused = False
        self.stop()
        self.promote()

    def retry(self, id: str, message_id: str) -> None:
        """Ask the newest turn's question again in place."""
        assert self.newest
        self.paused = False
        question = self.newest
        self.open = Turn(id, question.message_id, question.text, "due", placed=True)

    def delete(self) -> None:
        self.deleted = self.paused = True
        self.stop()

    @property
    def waiting(self) -> list[Turn]:
        """Turns whose question has no position yet, in the order of the queue."""
        due = [self.open] if self.open and not self.open.placed else []
        return due + self.queue
