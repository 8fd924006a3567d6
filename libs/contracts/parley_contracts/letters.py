"""Dead letters: what lay in a slot and came to nothing, kept until the owner has dealt with it."""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated

from pydantic import Field

from parley_contracts.base import Contract, Id, Text, Timestamp
from parley_contracts.subjects import SlotStream

LARGEST = 4 * 1024 * 1024
"""Bytes of a payload that are kept; what is longer is cut."""

_UNREADABLE = (
    "This is no turn, and nothing can read it. It was taken out of its slot, whose thread goes on; "
    "remove it when you have looked at it."
)


class Letter(Contract):
    """A turn that its workers died of (`turn_id`; it can be retried), or what nothing can read.

    `reason` says which and what to do. `size` is the whole payload's in bytes, `start` shows how it
    begins, with whatever is not printable escaped.
    """

    id: Id
    subject: str
    reason: str
    turn_id: Id | None = None
    size: int
    start: str
    kept_at: Timestamp


class LetterContent(Letter):
    """A letter with its bytes in base64, up to LARGEST of them."""

    payload: str


class ListLetters(Contract):
    """Read the newest letters; older ones show up when these are removed."""

    limit: Annotated[int, Field(ge=1, le=500)] = 100


class LetterList(Contract):
    """Letters, newest first; `total` counts all."""

    letters: tuple[Letter, ...]
    total: int


class LetterRef(Contract):
    """One letter."""

    id: Id


class KeepLetter(Contract):
    """A slot's message that nothing can read; `payload` is in base64.

    The id is made of stream and sequence: whoever meets the message first has it kept.
    """

    id: Id
    subject: Annotated[Text, Field(max_length=1_000)]
    reason: Annotated[Text, Field(max_length=1_000)] = _UNREADABLE
    payload: Annotated[str, Field(max_length=LARGEST // 3 * 4 + 4)]
    size: Annotated[int, Field(ge=0, lt=2**31)]

    @classmethod
    def of(cls, stream: SlotStream, key: str, sequence: int, payload: bytes) -> KeepLetter:
        """Return the request to keep what lies in a slot."""
        return cls(
            id=f"{stream.name}-{sequence}",
            subject=stream.subject(key),
            payload=b64encode(payload[:LARGEST]).decode(),
            size=len(payload),
        )
