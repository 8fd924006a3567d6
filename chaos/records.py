"""What a run writes down, a line of JSON each: messages sent, faults, events heard, tool runs.

Moments are seconds since 1970.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass
class Wording:
    """A text that was sent, the answer that the echo gives to it (a pattern), how it fails."""

    text: str
    answer: str
    fails: str | None = None


@dataclass
class Sent:
    """A message that was accepted, and what must have become of it.

    `stopped` and `removed` are what the API answered to the wish: True when it was granted, False
    when it came too late, None when there was no such wish.
    """

    marker: str
    """Stands in its text and in no other."""
    thread_id: str
    message_id: str
    turn_id: str
    accepted_at: float
    wordings: list[Wording]
    """More than one when it was changed while it waited."""
    client_id: str | None = None
    stopped: bool | None = None
    removed: bool | None = None


@dataclass
class Fault:
    """Something that was done to a process. `ended_at`: when a frozen one went on."""

    at: float
    kind: str
    target: str
    ended_at: float | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.target}"


@dataclass(frozen=True)
class Heard:
    """An event as a client got it, without its long fields."""

    at: float
    kind: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Shown:
    """A thread as the API shows it at the end: the ids of its messages, in order."""

    thread_id: str
    message_ids: list[str]


@dataclass(frozen=True)
class ToolLine:
    """A line of a tool: a run of a call began or ended."""

    at: float
    run: str
    key: str
    tool: str
    phase: str


def write(file: Path, records: Iterable[Any]) -> None:
    """Write records, one a line."""
    file.write_text("".join(json.dumps(asdict(each)) + "\n" for each in records), encoding="utf-8")


def read(file: Path, kind: type[T]) -> list[T]:
    """Return the records of a file; none when it is not there."""
    if not file.exists():
        return []
    return [kind(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def read_sent(file: Path) -> list[Sent]:
    """Return the messages of a file."""
    sent = read(file, Sent)
    for each in sent:
        each.wordings = [Wording(**wording) for wording in each.wordings]  # type: ignore[arg-type]
    return sent
