"""History, page by page, as text that was encoded once.

A page ends when its number of messages or its room is full, so that it fits into one bus message
whatever the messages' length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, select

from parley_gateway.store.schema import NO_END, lineage, messages
from parley_gateway.store.statement import Statement

PAGE_ROOM = 4 * 1024 * 1024
"""Bytes of messages in a page; its first message is let in whatever its size."""
LARGEST = PAGE_ROOM // 2 * 3
"""Bytes of one message, or of the recorded steps of a turn, with room for what goes beside them."""

HISTORY = Statement(
    select(messages.c.position, messages.c.json, messages.c.turn_id)
    .select_from(lineage)
    .join(
        messages,
        (messages.c.thread_id == lineage.c.ancestor_id) & (messages.c.position <= lineage.c.upto),
    )
    .where(lineage.c.thread_id == bindparam("thread_id"), messages.c.position < bindparam("before"))
    .order_by(lineage.c.depth, messages.c.position.desc())
    .limit(bindparam("limit"))
)
"""Newest first: position, JSON and turn of the messages that a thread shows below a position."""


class Page:
    """Collects a page from the newest message downwards, in fetches of growing size."""

    def __init__(self, *, before: int = NO_END, limit: int = NO_END, room: int = PAGE_ROOM) -> None:
        self._before = before
        self._limit = limit
        self.room = room
        """Bytes that are left; less than none when the first message alone takes more."""
        self._fetch = 32
        self._ended = False
        self._fragments: list[str] = []
        self.turn_ids: list[str] = []

    @property
    def wanted(self) -> dict[str, int] | None:
        """What to ask HISTORY for next; None when the page is complete."""
        left = self._limit - len(self._fragments)
        if self._ended or left <= 0:
            return None
        self._fetch = min(2 * self._fetch, 1024)
        return {"before": self._before, "limit": min(self._fetch, left)}

    def take(self, rows: Sequence[Any]) -> None:
        """Add what HISTORY answered."""
        self._ended = not rows
        for position, fragment, turn_id in rows:
            size = size_of(fragment)
            if size > self.room and self._fragments:
                self._ended = True
                return
            self.room -= size
            self._fragments.append(fragment)
            self.turn_ids.append(turn_id)
            self._before = position

    @property
    def lowest(self) -> int:
        """The position of the oldest message in the page."""
        return self._before

    @property
    def before(self) -> int | None:
        """Where the next older page ends; None when this one starts at the first message."""
        return self._before if self._fragments and self._before > 1 else None

    @property
    def messages(self) -> str:
        """The JSON array of the messages, oldest first."""
        return f"[{','.join(reversed(self._fragments))}]"


def size_of(fragment: str) -> int:
    """Return how many bytes a piece of JSON has."""
    return len(fragment) if fragment.isascii() else len(fragment.encode())
