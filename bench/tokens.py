"""What a token of the fake model says: when it left, and the first one also what came before it.

`t=<µs>` is the moment of its emission by CLOCK_MONOTONIC, which all processes of a machine share;
the first token goes on `+<µs>/<n>`: how long the model held it, and how many messages it had got.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field

_TOKEN = re.compile(rb"t=(\d+)(?:\+(\d+)/(\d+))? ")
MS = 1000
"""Microseconds in a millisecond; all moments here are whole microseconds."""


def now() -> int:
    """Return this moment in microseconds."""
    return time.monotonic_ns() // 1000


def first_token(received: int, messages: int) -> str:
    """Return the first token of an answer, leaving now."""
    emitted = now()
    return f"t={emitted}+{emitted - received}/{messages} "


def next_token() -> str:
    """Return any other token, leaving now."""
    return f"t={now()} "


@dataclass
class Arrivals:
    """One answer's tokens as they reached the client. Moments in microseconds."""

    first: int = 0
    held: int = 0
    messages: int = 0
    last_emitted: int = 0
    delays: list[int] = field(default_factory=list)
    """Emission to arrival of every token but the first."""
    text: list[bytes] = field(default_factory=list)

    def read(self, payload: bytes, arrived: int) -> None:
        """Note the tokens of a payload."""
        for token in _TOKEN.finditer(payload):
            self.last_emitted = int(token[1])
            self.text.append(token[0])
            if token[2]:
                self.first, self.held, self.messages = arrived, int(token[2]), int(token[3])
            else:
                self.delays.append(arrived - self.last_emitted)
