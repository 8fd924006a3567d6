"""Keeps the full-text index up behind the commits, in small bites."""

from __future__ import annotations

import asyncio
import logging

from parley_contracts.errors import ParleyError

from parley_gateway.store.index import index_some
from parley_gateway.store.writer import Writer

PAUSE_S = 0.25
"""How long messages gather before they are indexed."""
AFTER_FAILURE_S = 5.0

log = logging.getLogger(__name__)


class Indexer:
    """`wake` it when messages got their position."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._wake = asyncio.Event()
        self._wake.set()

    def wake(self) -> None:
        """There is something to index."""
        self._wake.set()

    async def index_forever(self) -> None:
        """Index whatever comes; what fails is tried again."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(PAUSE_S)
            self._wake.clear()
            if not await self._index_all():
                self._wake.set()
                await asyncio.sleep(AFTER_FAILURE_S)

    async def _index_all(self) -> bool:
        try:
            while await self._writer.run_relaxed(index_some):
                pass
        except ParleyError as error:
            log.warning("the search index waits: %s", error.detail)
            return False
        except Exception:
            log.exception("the search index waits")
            return False
        return True
