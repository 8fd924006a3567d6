"""Pulls messages from a JetStream consumer: no more than there is room for, and never stalling.

Several pull requests may be open at once; messages are charged to their sum, because the server
spreads them over the requests. Requests end unseen when the server dies, loses the consumer or is
frozen: heartbeats show that they live, and a silence of twice their distance, any refusal or a
reconnect ends the round. (nats-py's own `fetch` can stall for good: its issues 504 and 986.)
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from nats.aio.msg import Msg

from parley_bus.bus import Bus

EXPIRES_S = 20.0
HEARTBEAT_S = 4.0
SILENCE_S = 2 * HEARTBEAT_S
_NS = 1_000_000_000

_HEARTBEAT = "100"
_REQUEST_OVER = ("404", "408")


class Puller:
    """Hands each message of one consumer to `deliver`, which must not block.

    `room` tells how many more messages could be taken now; after it grew, call `wake`.
    """

    def __init__(
        self,
        bus: Bus,
        stream: str,
        consumer: str,
        *,
        deliver: Callable[[Msg], None],
        room: Callable[[], int],
    ) -> None:
        self._bus = bus
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._deliver = deliver
        self._room = room
        self._wake = asyncio.Event()
        self._asked = 0
        self._heard = 0.0
        self._lost = False

    def wake(self) -> None:
        """Look again whether there is room."""
        if self._missing():
            self._wake.set()

    async def pull(self) -> None:
        """Pull until the requests are lost, then return; ask again after a moment.

        When cancelled, what the server has sent by then is still delivered.
        """
        await self._bus.ready()
        self._asked, self._lost = 0, False
        inbox = self._bus.inbox()
        subscription = await self._bus.listen(inbox, self._receive)
        forget = self._bus.on_reconnect(self._on_reconnect)
        try:
            while not self._lost:
                self._wake.clear()
                await self._ask(inbox)
                await self._listen()
        except asyncio.CancelledError:
            await subscription.drain()
            raise
        finally:
            forget()
            await subscription.unsubscribe()

    def _missing(self) -> int:
        """Return how many messages to ask for: a good portion, or what there is if none is due."""
        room = self._room()
        missing = room - self._asked
        enough = missing >= room / 4 if self._asked else missing > 0
        return missing if enough else 0

    async def _ask(self, inbox: str) -> None:
        missing = self._missing()
        if not missing:
            return
        if not self._asked:
            self._heard = asyncio.get_running_loop().time()
        self._asked += missing
        request = {
            "batch": missing,
            "expires": int(EXPIRES_S * _NS),
            "idle_heartbeat": int(HEARTBEAT_S * _NS),
        }
        await self._bus.publish(self._next, json.dumps(request).encode(), reply=inbox)

    async def _listen(self) -> None:
        """Wait until there is something to do, or the silence is too long."""
        try:
            async with asyncio.timeout_at(self._heard + SILENCE_S if self._asked else None):
                await self._wake.wait()
        except TimeoutError:
            silence = asyncio.get_running_loop().time() - self._heard
            self._lost |= self._asked > 0 and silence >= SILENCE_S

    async def _receive(self, message: Msg) -> None:
        self._heard = asyncio.get_running_loop().time()
        headers = message.headers or {}
        status = headers.get("Status") if not message.reply else None
        if status is None:
            self._asked -= 1
            self._deliver(message)
        elif status in _REQUEST_OVER:
            self._asked -= int(headers.get("Nats-Pending-Messages", 0))
        elif status != _HEARTBEAT:
            self._lose()
        self.wake()

    async def _on_reconnect(self) -> None:
        self._lose()

    def _lose(self) -> None:
        self._lost = True
        self._wake.set()
