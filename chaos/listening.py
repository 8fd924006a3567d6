"""A reader of the event stream that goes on where it was, as a page does."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import httpx2

from chaos.client import Client
from chaos.records import Heard

SILENCE_S = 20.0
"""Longer than the distance of two pings; past it the connection is given up."""
PAUSE_S = 0.2
LEFT_OUT = ("text_delta", "reasoning_delta")
LONG = ("message", "thread", "text", "output", "arguments")


class Listener:
    """Hears all events; `heard` are those since its start, deltas left out."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._place = ""
        self.heard: list[Heard] = []

    async def listen(self) -> None:
        """Listen until cancelled, whatever breaks."""
        while True:
            try:
                await self._follow()
            except httpx2.HTTPError:
                await asyncio.sleep(PAUSE_S)

    async def _follow(self) -> None:
        headers = {"Last-Event-ID": self._place} if self._place else {}
        timeout = httpx2.Timeout(SILENCE_S)
        address = self._client.address("/api/events")
        request = self._client.http.stream("GET", address, headers=headers, timeout=timeout)
        async with request as response:
            if response.status_code != httpx2.codes.OK:
                await asyncio.sleep(PAUSE_S)
                return
            async for fields in _frames(response.aiter_lines()):
                self._hear(fields)

    def _hear(self, fields: dict[str, str]) -> None:
        self._place = fields.get("id", self._place)
        kind = fields.get("event")
        if kind is None or kind in LEFT_OUT:
            return
        data = json.loads(fields["data"])
        short = {name: value for name, value in data.items() if name not in LONG}
        self.heard.append(Heard(time.time(), kind, short))


async def _frames(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, str]]:
    """Yield the fields of each frame."""
    fields: dict[str, str] = {}
    async for line in lines:
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif fields:
            yield fields
            fields = {}
