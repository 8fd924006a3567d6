"""Models behind any OpenAI-compatible server, through the SDK's `post()`.

`chat.completions.create` transforms every message and builds a pydantic object for every chunk,
which costs more than all the rest of a turn (1.4 s for a prompt of 10,000 messages); `post` with
`cast_to=object` keeps the SDK's authentication, errors and closing, and skips both. Its transport
over aiohttp, whose parser is compiled, takes 2.4 ms for 100 tokens; the usual one takes 4.0 ms.

A request is repeated only before the first chunk, and only when the server could not be reached,
asks for patience, or still loads the model.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, Mapping
from itertools import count
from typing import Any

from httpx2 import Timeout
from openai import APIError, AsyncOpenAI, AsyncStream, DefaultAioHttpClient

from parley_agent_worker.models.base import Chunk, LoadingChunk, ModelError, ModelRequest
from parley_agent_worker.models.chunks import ChunkReader
from parley_agent_worker.models.failures import BROKEN, failure, translated
from parley_agent_worker.models.provider import Provider
from parley_agent_worker.models.watchdog import Watchdog
from parley_agent_worker.text import sound

READ_S = 600.0
LONGEST_PATIENCE_S = 30.0
LOADING_PAUSE_S = 1.0

logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells every request


class OpenAIModel:
    """All models of one provider, over one client that keeps its connections open."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        timeout = Timeout(READ_S, connect=provider.connect_s)
        self._client = AsyncOpenAI(
            api_key=provider.api_key or "none",
            base_url=provider.base_url,
            max_retries=0,
            timeout=timeout,
            http_client=DefaultAioHttpClient(
                timeout=timeout,
                trust_env=not provider.on_this_machine,
                verify=_tls(provider),
            ),
        )

    async def list(self, timeout: float) -> list[dict[str, Any]]:
        """Return what the server lists at /models, each at least with an `id`; ModelError."""
        with translated(self._provider, ""):
            return _models(await self._list(timeout))

    async def _list(self, timeout: float) -> object:
        try:
            return await self._client.get("/models", cast_to=object, options={"timeout": timeout})
        except (APIError, *BROKEN) as error:
            raise failure(error, self._provider, "") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Chunk, None]:
        """Yield the answer's chunks; see `Model.stream`."""
        provider = self._provider
        reader = ChunkReader({tool["function"]["name"] for tool in request.tools})
        with translated(provider, request.model):
            async with Watchdog(provider.first_chunk_s, provider.idle_s) as watchdog:
                while (stream := await self._open(request)) is None:
                    yield LoadingChunk(f"{provider.name} is loading the model")
                async with stream:
                    async for raw in stream:
                        watchdog.touch()
                        for chunk in reader.read(raw):
                            yield chunk
            for chunk in reader.end():
                yield chunk

    async def _open(self, request: ModelRequest) -> AsyncStream[object] | None:
        """Return the answer's stream; None, after a pause, while the model is being loaded."""
        for tries in count(1):
            try:
                return await self._post(request)
            except (APIError, *BROKEN) as error:
                trouble = failure(error, self._provider, request.model)
            if trouble.kind == "loading":
                await asyncio.sleep(LOADING_PAUSE_S)
                return None
            await asyncio.sleep(_patience(trouble, tries))
        raise AssertionError("the count has no end")

    async def _post(self, request: ModelRequest) -> AsyncStream[object]:
        headers = {"X-Session-ID": request.session} if self._provider.takes_session else {}
        return await self._client.post(
            "/chat/completions",
            cast_to=object,
            body=self._body(request),
            options={"headers": headers},
            stream=True,
            stream_cls=AsyncStream[object],
        )

    def _body(self, request: ModelRequest) -> Mapping[str, Any]:
        messages = request.messages
        if not self._provider.takes_reasoning:
            messages = [_without_reasoning(message) for message in messages]
        body: dict[str, Any] = {
            **request.parameters,
            "model": request.model,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.tools:
            body["tools"] = request.tools
            if request.conclude:
                body["tool_choice"] = "none"
        return body


def _models(reply: object) -> list[dict[str, Any]]:
    """Return those models of a listing whose ids can be used."""
    models = reply.get("data") if isinstance(reply, dict) else None
    return [each for each in models or () if isinstance(each, dict) and _is_usable(each.get("id"))]


def _is_usable(model_id: object) -> bool:
    return isinstance(model_id, str) and bool(model_id) and sound(model_id) == model_id


def _tls(provider: Provider) -> ssl.SSLContext | bool:
    """Return the usual checks; plain HTTP does without the authorities, 0.2 s of loading."""
    if provider.base_url.startswith("https:"):
        return True
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _without_reasoning(message: dict[str, Any]) -> dict[str, Any]:
    if "reasoning_content" not in message:
        return message
    return {key: value for key, value in message.items() if key != "reasoning_content"}


def _patience(trouble: ModelError, tries: int) -> float:
    """Return the seconds to wait before the next try; raise the trouble when that is no use."""
    if trouble.kind == "unreachable" and tries <= 2:
        return 0.2 * tries
    if trouble.kind == "rate-limited" and tries <= 4:
        pause = trouble.retry_after if trouble.retry_after is not None else float(2**tries) / 2
        if pause <= LONGEST_PATIENCE_S:
            return pause
    raise trouble
