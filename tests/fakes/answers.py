"""What the fake model server can do in an answer, one action after the other.

    {"text": "…"}                  tokens, word by word      {"pieces": ["…", …]}  exactly these
    {"reasoning": "…", "spelling": "reasoning" | "reasoning_content"}
    {"calls": [{"id", "name", "arguments"}, …], "numbering": "index" | "id" | "none"}
    {"loading": "…"}               a loading chunk as llama-swap sends it
    {"progress": true}             llama-server's prompt_progress
    {"pause": seconds}             {"gate": "NAME"}  wait until it is opened     {"ping": true}
    {"raw": "…"}                   these very bytes           {"error_frame": {…} or "…"}
    {"finish": "length"}           another reason to finish   {"no_finish": true}  none at all
    {"cut": true}                  the connection breaks      {"stall": true}  nothing more comes
    {"status": 429, "error": {…} or "…", "headers": {…}}     a refusal instead of an answer

Tokens are counted honestly: words in the prompt, pieces in the answer.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

Json = dict[str, Any]
Streamed = AsyncIterator[bytes]
_TOKEN = re.compile(r"\s*\S+\s*|\s+")


class Refusal(Exception):
    """An error reply in place of an answer."""

    def __init__(self, action: Json) -> None:
        self.status: int = action["status"]
        self.body = {"error": action.get("error", {"message": "no"})}
        self.headers: dict[str, str] = action.get("headers", {})


class Broken(Exception):
    """The connection breaks here."""


class Answer:
    """One answer to one request."""

    def __init__(
        self,
        request: Json,
        actions: list[Json],
        gate: Callable[[str], asyncio.Event],
        delay: float,
    ) -> None:
        self._request = request
        self._actions = actions
        self._gates = gate
        self._delay = delay
        self._head = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": request["model"],
        }
        self._written = 0
        self._reason: str | None = "stop"

    async def stream(self) -> Streamed:
        """Yield the frames of an event stream; raise Refusal before the first one."""
        for action in self._actions:
            async for frame in self._frames(action):
                if frame:
                    yield frame
        if self._reason:
            yield _frame({**self._head, "choices": [_choice({}, self._reason)]})
        if (self._request.get("stream_options") or {}).get("include_usage"):
            yield _frame({**self._head, "choices": [], "usage": self._usage()})
        yield b"data: [DONE]\n\n"

    async def whole(self) -> Json:
        """Return the answer in one piece."""
        content, calls = "", []
        for action in self._actions:
            if "status" in action:
                raise Refusal(action)
            content += action.get("text", "") + "".join(action.get("pieces", []))
            calls += [_call(each) for each in action.get("calls", [])]
        self._written = len(_TOKEN.findall(content))
        message: Json = {"role": "assistant", "content": content}
        if calls:
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        whole = {"object": "chat.completion", "choices": [choice], "usage": self._usage()}
        return {**self._head, **whole}

    def _frames(self, action: Json) -> Streamed:
        """Yield the frames of one action: its first key names what does it."""
        return getattr(self, f"_{next(iter(action))}")(action)  # type: ignore[no-any-return]

    def _text(self, action: Json) -> Streamed:
        return self._tokens("content", _TOKEN.findall(action["text"]))

    def _pieces(self, action: Json) -> Streamed:
        return self._tokens("content", action["pieces"])

    def _reasoning(self, action: Json) -> Streamed:
        spelling = action.get("spelling", "reasoning_content")
        return self._tokens(spelling, _TOKEN.findall(action["reasoning"]))

    async def _tokens(self, key: str, pieces: list[str]) -> Streamed:
        for piece in pieces:
            if self._delay:
                await asyncio.sleep(self._delay)
            self._written += 1
            yield _frame({**self._head, "choices": [_choice({key: piece})]})

    async def _calls(self, action: Json) -> Streamed:
        self._reason = "tool_calls"
        for delta in _call_deltas(action["calls"], action.get("numbering", "index")):
            yield _frame({**self._head, "choices": [_choice({"tool_calls": [delta]})]})

    async def _loading(self, action: Json) -> Streamed:
        yield _frame({"choices": [{"delta": {"reasoning_content": action["loading"]}}]})

    async def _progress(self, action: Json) -> Streamed:
        progress = {"total": 10, "cache": 0, "processed": 5}
        yield _frame({**self._head, "choices": [], "prompt_progress": progress})

    async def _error_frame(self, action: Json) -> Streamed:
        yield _frame({"error": action["error_frame"]})

    async def _raw(self, action: Json) -> Streamed:
        yield action["raw"].encode()

    async def _ping(self, action: Json) -> Streamed:
        yield b": ping\n\n"

    async def _pause(self, action: Json) -> Streamed:
        await asyncio.sleep(action["pause"])
        yield b""

    async def _gate(self, action: Json) -> Streamed:
        await self._gates(action["gate"]).wait()
        yield b""

    async def _stall(self, action: Json) -> Streamed:
        await asyncio.Event().wait()
        yield b""

    async def _finish(self, action: Json) -> Streamed:
        self._reason = action["finish"]
        yield b""

    async def _no_finish(self, action: Json) -> Streamed:
        self._reason = None
        yield b""

    def _status(self, action: Json) -> Streamed:
        raise Refusal(action)

    def _cut(self, action: Json) -> Streamed:
        raise Broken

    def _usage(self) -> Json:
        read = sum(len(_TOKEN.findall(each.get("content") or "")) for each in self._prompt)
        return {
            "prompt_tokens": read,
            "completion_tokens": self._written,
            "total_tokens": read + self._written,
            "prompt_tokens_details": {"cached_tokens": 0},
        }

    @property
    def _prompt(self) -> list[Json]:
        messages: list[Json] = self._request["messages"]
        return messages


def _frame(chunk: Json) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _choice(delta: Json, finish: str | None = None) -> Json:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def _call(call: Json) -> Json:
    function = {"name": call["name"], "arguments": call["arguments"]}
    return {"id": call["id"], "type": "function", "function": function}


def _call_deltas(calls: list[Json], numbering: str) -> list[Json]:
    """Return each call in two deltas, as servers stream them; some do not number them."""
    deltas = []
    for index, call in enumerate(calls):
        middle = len(call["arguments"]) // 2
        opening = _call({**call, "arguments": call["arguments"][:middle]})
        closing: Json = {"function": {"arguments": call["arguments"][middle:]}}
        if numbering == "index":
            opening, closing = {"index": index, **opening}, {"index": index, **closing}
        elif numbering == "id":
            closing["id"] = call["id"]
        deltas += [opening, closing]
    return deltas
