"""The trace that every request, slot message and event carries: W3C Trace Context in a header.

A trace begins where a person or a clock acts (a message is sent, a sweep runs) and goes along with
whatever follows from it, across services; the log shows its id on every line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from secrets import token_hex

HEADER = "traceparent"
_FORMAT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_current: ContextVar[str | None] = ContextVar("traceparent", default=None)


def current() -> str | None:
    """Return the traceparent that this task works under, if any."""
    return _current.get()


def trace_id() -> str | None:
    """Return the 32 hexadecimal digits that all parts of the current trace share."""
    traceparent = _current.get()
    return traceparent[3:35] if traceparent else None


def begin() -> str:
    """Begin a new trace for this task and the tasks it starts; return its traceparent."""
    traceparent = f"00-{token_hex(16)}-{token_hex(8)}-01"
    _current.set(traceparent)
    return traceparent


def outgoing() -> dict[str, str]:
    """Return the header for a message of the current trace, or of a fresh one outside any."""
    trace = trace_id() or token_hex(16)
    return {HEADER: f"00-{trace}-{token_hex(8)}-01"}


@contextmanager
def received(headers: Mapping[str, str] | None) -> Iterator[None]:
    """Work under the trace of a received message; without a sound header, under a new one."""
    token = _current.set(None)
    try:
        traceparent = (headers or {}).get(HEADER, "")
        if _FORMAT.fullmatch(traceparent):
            _current.set(traceparent)
        else:
            begin()
        yield
    finally:
        _current.reset(token)
