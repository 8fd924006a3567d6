"""The JetStream API, as far as Parley uses it: one JSON request, one JSON answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nats.aio.msg import Msg
from parley_contracts.errors import Unavailable

from parley_bus.bus import Bus

NOT_FOUND = 404


class Refused(Exception):
    """JetStream said no: `status` as in HTTP, `code` its own number, str() its words."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(error.get("description", "no reason given"))
        self.status = int(error.get("code", 0))
        self.code = int(error.get("err_code", 0))


async def call(
    bus: Bus, name: str, request: Mapping[str, Any] | None = None, *, timeout: float = 5.0
) -> dict[str, Any]:
    """Return the answer to `$JS.API.<name>`; raises Refused, or Unavailable without an answer."""
    payload = json.dumps(request).encode() if request else b""
    return _answer((await bus.ask(f"$JS.API.{name}", payload, timeout=timeout)).data)


async def store(
    bus: Bus,
    subject: str,
    payload: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float = 5.0,
) -> int:
    """Store a message in the stream of its subject; return its sequence.

    Raises Refused when the stream does not take it, Unavailable when there is no stream.
    """
    answer = _answer((await bus.ask(subject, payload, headers=headers, timeout=timeout)).data)
    return int(answer["seq"])


def _answer(body: bytes) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(body)
    except ValueError:
        raise Unavailable("JetStream answered something unreadable; look at its log.") from None
    if "error" in answer:
        raise Refused(answer["error"])
    return answer


@dataclass(frozen=True)
class Stored:
    """A message of a stream as a batch read returns it."""

    sequence: int
    subject: str
    payload: bytes
    headers: Mapping[str, str]


async def read(
    bus: Bus, stream: str, request: Mapping[str, Any], *, timeout: float = 5.0
) -> tuple[list[Stored], int]:
    """Return the messages that a batch read finds, and how many more there are.

    Raises Unavailable when the answer does not end within `timeout` seconds.
    """
    arrived: asyncio.Queue[Msg] = asyncio.Queue()
    inbox = bus.inbox()
    subscription = await bus.listen(inbox, arrived.put)
    try:
        async with asyncio.timeout(timeout):
            await bus.ready()
            await bus.publish(
                f"$JS.API.DIRECT.GET.{stream}", json.dumps(request).encode(), reply=inbox
            )
            return await _batch(arrived, stream)
    except TimeoutError:
        raise Unavailable(f"{stream} cannot be read at the moment; try again.") from None
    finally:
        await subscription.unsubscribe()


async def _batch(arrived: asyncio.Queue[Msg], stream: str) -> tuple[list[Stored], int]:
    found: list[Stored] = []
    while True:
        message = await arrived.get()
        headers = message.headers or {}
        match headers.get("Status"):
            case None:
                sequence, subject = int(headers["Nats-Sequence"]), headers["Nats-Subject"]
                found.append(Stored(sequence, subject, message.data, headers))
            case "204":
                return found, int(headers.get("Nats-Num-Pending", 0))
            case "404":
                return found, 0
            case status:
                reason = headers.get("Description", status)
                raise Unavailable(f"{stream} cannot be read: {reason}.")
