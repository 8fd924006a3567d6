"""A client of the HTTP API that does not give up: what got no answer is sent again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import httpx2

PATIENCE_S = 8.0
"""After so long without an answer a request is sent again; shorter than a freeze."""
PAUSE_S = 0.2
LIMIT_S = 180.0
TRY_AGAIN = (429, 502, 503, 504)


class Stuck(Exception):
    """No answer to a request, however often it was sent."""


@dataclass(frozen=True)
class Answer:
    """A response; `tries` is how often the request was sent."""

    status: int
    body: Any
    tries: int

    @property
    def granted(self) -> bool:
        """Whether the request was fulfilled."""
        return self.status // 100 == 2


class Client:
    """One caller with the access token, who tries one address after the other."""

    def __init__(self, urls: Sequence[str], token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        limits = httpx2.Limits(max_connections=None)
        self.http = httpx2.AsyncClient(headers=headers, timeout=PATIENCE_S, limits=limits)
        self._urls = cycle(urls)

    def address(self, path: str) -> str:
        """Return where to call next."""
        return next(self._urls) + path

    async def call(self, method: str, path: str, body: Any = None) -> Answer:
        """Return the answer, sending until there is one. Raises Stuck, also when it is a fault."""
        tries, deadline = 0, time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            tries += 1
            try:
                response = await self.http.request(method, self.address(path), json=body)
            except httpx2.HTTPError:
                await asyncio.sleep(PAUSE_S)
                continue
            if response.status_code == httpx2.codes.INTERNAL_SERVER_ERROR:
                raise Stuck(f"{method} {path} met a fault: {response.text}")
            if response.status_code not in TRY_AGAIN:
                content = response.json() if response.content else None
                return Answer(response.status_code, content, tries)
            await asyncio.sleep(PAUSE_S)
        raise Stuck(f"{method} {path} got no answer in {LIMIT_S:g} s and {tries} tries")

    async def demand(self, method: str, path: str, body: Any = None) -> Any:
        """Return the body of the answer, which must be a good one. Raises Stuck."""
        answer = await self.call(method, path, body)
        if not answer.granted:
            raise Stuck(f"{method} {path} was answered {answer.status}: {answer.body}")
        return answer.body

    async def wish(self, method: str, path: str, body: Any = None) -> Answer:
        """Return the answer to what may come too late, and then is a conflict. Raises Stuck.

        What is gone when it is wished for again is what an earlier try, whose answer was lost, did.
        """
        answer = await self.call(method, path, body)
        gone_before = answer.status == httpx2.codes.NOT_FOUND and answer.tries > 1
        if answer.granted or answer.status == httpx2.codes.CONFLICT or gone_before:
            return answer
        raise Stuck(f"{method} {path} was answered {answer.status}: {answer.body}")

    async def close(self) -> None:
        """Leave."""
        await self.http.aclose()
