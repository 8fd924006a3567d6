"""Finds a title for a new thread, with the model that has just answered in it.

The question is put at the end of the very conversation, so that the model server need not read
anything anew. When it fails, the provisional title stays.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import replace

from parley_bus import Bus
from parley_contracts.errors import ParleyError
from parley_contracts.operations import THREADS_NAME
from parley_contracts.threads import NameThread

from parley_agent_worker.models.base import ModelError, ModelRequest, TextChunk
from parley_agent_worker.models.providers import Choice

TIME_S = 60.0
LONGEST = 60
_INSTRUCTION = {
    "role": "user",
    "content": (
        "Give this conversation a title of two to six words, in its own language. "
        "Reply with the title alone, without quotes or a full stop."
    ),
}

log = logging.getLogger(__name__)


async def name_thread(bus: Bus, thread_id: str, choice: Choice, request: ModelRequest) -> None:
    """Ask the model for a title and give it to the thread; `request` is the answered one."""
    wish = replace(request, messages=[*request.messages, _INSTRUCTION], conclude=True)
    try:
        async with asyncio.timeout(TIME_S):
            title = cleaned(await _said(choice, wish))
            if title:
                await bus.request(THREADS_NAME, NameThread(id=thread_id, title=title))
    except (ModelError, ParleyError, TimeoutError) as error:
        log.info("thread %s keeps its provisional title: %s", thread_id, error)


async def _said(choice: Choice, request: ModelRequest) -> str:
    async with aclosing(choice.model.stream(request)) as chunks:
        return "".join([chunk.text async for chunk in chunks if isinstance(chunk, TextChunk)])


def cleaned(said: str) -> str:
    """Return the title in what the model said: its first line without quotes, not too long."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    title = lines[0].removeprefix("Title:").strip(" \t\"'“”«»„*#`.") if lines else ""
    if len(title) > LONGEST:
        title = title[:LONGEST].rsplit(maxsplit=1)[0] + "…"
    return title
