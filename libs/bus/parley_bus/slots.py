"""Slot queues: at most one message a key, kept by the server, consumed by whoever has room.

The per-subject limit of the stream is the order guarantee: the next message of a key cannot even
be stored before the one before it is gone. The message only says that something is due; what is
true stands in the database.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from parley_contracts.base import Contract
from parley_contracts.errors import Unavailable
from parley_contracts.subjects import SlotStream

from parley_bus import jetstream
from parley_bus.bus import Bus
from parley_bus.consumer import Consumer
from parley_bus.failpoints import failpoint

_NO_SUCH_MESSAGE = (10037, 10043, 10057)
_OCCUPIED = "maximum messages per subject exceeded"


class SlotOccupied(Exception):
    """The slot of this key still holds a message."""


@dataclass(frozen=True)
class Slot:
    """A message in its slot; `payload` is its JSON, unread."""

    sequence: int
    key: str
    payload: bytes


Handler = Callable[[Slot], Awaitable[float | None]]


class SlotQueue:
    """One of the slot streams, to fill, to look into, to consume."""

    def __init__(self, bus: Bus, stream: SlotStream) -> None:
        self._bus = bus
        self._stream = stream

    async def put(self, key: str, message: Contract) -> int:
        """Put a message into the empty slot `key`; return its stream sequence.

        Raises SlotOccupied, and Unavailable when the broker cannot take it. It bears no message
        id: after a deletion the server would swallow the same id as a duplicate.
        """
        failpoint("slot.put.before")
        try:
            sequence = await jetstream.store(self._bus, self._stream.subject(key), message.encode())
        except jetstream.Refused as refusal:
            if _OCCUPIED in str(refusal):
                raise SlotOccupied(key) from None
            raise Unavailable(f"{self._stream.name} takes no message: {refusal}.") from None
        failpoint("slot.put.after")
        return sequence

    async def peek(self, key: str) -> Slot | None:
        """Return what lies in the slot, as the stream's leader knows it."""
        request = {"last_by_subj": self._stream.subject(key)}
        try:
            answer = await jetstream.call(self._bus, f"STREAM.MSG.GET.{self._stream.name}", request)
        except jetstream.Refused as refusal:
            if refusal.code in _NO_SUCH_MESSAGE:
                return None
            raise Unavailable(f"{self._stream.name} cannot be read: {refusal}.") from None
        message = answer["message"]
        return Slot(message["seq"], key, base64.b64decode(message.get("data", "")))

    async def delete(self, sequence: int) -> bool:
        """Delete exactly this message; return False when it is not there."""
        failpoint("slot.delete.before")
        was_there = await self._delete(sequence)
        failpoint("slot.delete.after")
        return was_there

    def consume(self, handler: Handler, *, room: int) -> Consumer:
        """Run `handler` for each message, at most `room` at once, until the consumer is stopped.

        The handler returns None when the message is done with, or the seconds after which it is
        to come again; when it raises, the message comes again after a growing pause.
        """
        prefix = len(self._stream.prefix) + 1

        async def handle(sequence: int, subject: str, payload: bytes) -> float | None:
            return await handler(Slot(sequence, subject[prefix:], payload))

        return Consumer(self._bus, self._stream.name, self._stream.durable, handle, room)

    async def _delete(self, sequence: int) -> bool:
        request = {"seq": sequence, "no_erase": True}
        try:
            await jetstream.call(self._bus, f"STREAM.MSG.DELETE.{self._stream.name}", request)
        except jetstream.Refused as refusal:
            if refusal.code in _NO_SUCH_MESSAGE:
                return False
            raise Unavailable(f"{self._stream.name} cannot be changed: {refusal}.") from None
        return True
