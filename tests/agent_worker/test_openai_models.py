"""Models behind an OpenAI-compatible server: what comes over the wire, what goes wrong there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from fakes.answers import Json
from fakes.model_process import ModelProcess
from parley_agent_worker.models import openai
from parley_agent_worker.models.base import (
    CallChunk,
    ChatMessage,
    Chunk,
    LoadingChunk,
    ModelError,
    ModelRequest,
    ReasoningChunk,
    TextChunk,
    UsageChunk,
)
from parley_agent_worker.models.openai import OpenAIModel
from parley_agent_worker.models.presets import local
from parley_agent_worker.models.provider import Provider

HELLO: ChatMessage = {"role": "user", "content": "hello"}
REQUEST = ModelRequest(model="fake", messages=[HELLO])


@pytest.fixture
async def connect(model_server: ModelProcess) -> AsyncIterator[Callable[..., OpenAIModel]]:
    models: list[OpenAIModel] = []

    def connected(**settings: Any) -> OpenAIModel:
        models.append(OpenAIModel(replace(local(model_server.url), **settings)))
        return models[-1]

    yield connected
    for model in models:
        await model.close()


@pytest.fixture
async def model(connect: Callable[..., OpenAIModel]) -> OpenAIModel:
    return connect()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pauses between tries be none."""
    monkeypatch.setattr(openai, "LOADING_PAUSE_S", 0.0)


async def answer(model: OpenAIModel, request: ModelRequest = REQUEST) -> list[Chunk]:
    return [chunk async for chunk in model.stream(request)]


async def failure(model: OpenAIModel, request: ModelRequest = REQUEST) -> ModelError:
    with pytest.raises(ModelError) as raised:
        await answer(model, request)
    return raised.value


async def test_text_reasoning_parallel_calls_and_usage_arrive(
    model: OpenAIModel, model_server: ModelProcess
) -> None:
    calls = [
        {"id": "a", "name": "x", "arguments": "{}"},
        {"id": "b", "name": "y", "arguments": "{}"},
    ]
    for spelling, numbering in (("reasoning", "id"), ("reasoning_content", "none")):
        thought: Json = {"reasoning": "hm", "spelling": spelling}
        model_server.script([thought, {"text": "ok"}, {"calls": calls, "numbering": numbering}])
        chunks = await answer(model)
        assert chunks[:2] == [ReasoningChunk("hm"), TextChunk("ok")]
        assert [each.call.name for each in chunks if isinstance(each, CallChunk)] == ["x", "y"]
        assert any(isinstance(each, UsageChunk) for each in chunks)


async def test_the_request_is_what_the_format_asks_for(
    model: OpenAIModel, model_server: ModelProcess
) -> None:
    tool = {"type": "function", "function": {"name": "x", "parameters": {}}}
    request = replace(
        REQUEST, tools=[tool], conclude=True, parameters={"temperature": 0.5}, session="t1"
    )
    await answer(model, request)
    assert model_server.requests() == [
        {
            "temperature": 0.5,
            "model": "fake",
            "messages": [HELLO],
            "stream": True,
            "stream_options": {"include_usage": True},
            "tools": [tool],
            "tool_choice": "none",
        }
    ]
    assert model_server.headers()[0]["x-session-id"] == "t1"


async def test_reasoning_goes_back_only_to_servers_that_take_it(
    connect: Callable[..., OpenAIModel], model_server: ModelProcess
) -> None:
    thought = {"role": "assistant", "content": "a", "reasoning_content": "b"}
    request = replace(REQUEST, messages=[HELLO, thought, HELLO])
    await answer(connect(takes_reasoning=True), request)
    await answer(connect(takes_reasoning=False), request)
    sent = [each["messages"][1] for each in model_server.requests()]
    assert sent == [thought, {"role": "assistant", "content": "a"}]


async def test_a_model_that_loads_is_waited_for(
    model: OpenAIModel, model_server: ModelProcess, impatient: None
) -> None:
    loading: Json = {"status": 503, "error": {"message": "Loading model", "code": 503}}
    model_server.script([loading], [loading], [{"loading": "42 %"}, {"text": "ok"}])
    chunks = await answer(model)
    assert [type(each) for each in chunks[:4]] == [LoadingChunk] * 3 + [TextChunk]


async def test_a_busy_server_is_asked_again_when_it_says(
    model: OpenAIModel, model_server: ModelProcess
) -> None:
    busy: Json = {"status": 429, "error": "concurrency_limit", "headers": {"Retry-After": "0"}}
    model_server.script([busy], [busy], [{"text": "ok"}])
    assert TextChunk("ok") in await answer(model)


async def test_a_server_that_stays_busy_or_asks_for_too_much_patience_is_given_up(
    model: OpenAIModel, model_server: ModelProcess
) -> None:
    model_server.script([{"status": 429, "headers": {"Retry-After": "3600"}}])
    assert (await failure(model)).kind == "rate-limited"
    assert len(model_server.requests()) == 1


async def test_a_failed_request_is_not_repeated_blindly(
    model: OpenAIModel, model_server: ModelProcess
) -> None:
    model_server.script([{"status": 500, "error": {"message": "the template failed"}}])
    error = await failure(model)
    assert error.kind == "server-error"
    assert "the template failed" in error.detail
    assert len(model_server.requests()) == 1


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ({"status": 401}, "unauthorized"),
        ({"status": 403}, "unauthorized"),
        ({"status": 404, "error": "no such model"}, "unknown-model"),
        ({"status": 400, "error": {"message": "bad temperature"}}, "bad-request"),
        (
            {"status": 400, "error": {"message": "x", "type": "exceed_context_size_error"}},
            "context-overflow",
        ),
        (
            {"status": 400, "error": {"message": "maximum context length is 8192"}},
            "context-overflow",
        ),
        ({"status": 502, "error": "upstream"}, "server-error"),
        ({"error_frame": {"message": "out of memory"}}, "server-error"),
        ({"error_frame": "out of memory"}, "server-error"),
        ({"raw": "data: {not json\n\n"}, "malformed"),
        ({"raw": 'data: {"choices": [{"index": 0, "delta": 5}], "object": "x"}\n\n'}, "malformed"),
        ({"raw": f"data: {'[' * 100_000}\n\n"}, "malformed"),
        ({"error_frame": {"message": "no", "type": {}}}, "server-error"),
        ({"cut": True}, "cut"),
        ({"no_finish": True}, "cut"),
    ],
)
async def test_every_failure_has_its_kind_and_a_sentence(
    model: OpenAIModel, model_server: ModelProcess, action: Json, kind: str
) -> None:
    before: list[Json] = [] if "status" in action else [{"text": "a"}]
    model_server.script([*before, action])
    error = await failure(model)
    assert error.kind == kind
    assert error.detail.endswith(".")


async def test_an_overflow_says_how_long_is_too_long(
    model: OpenAIModel, model_server: ModelProcess
) -> None:
    sizes = {"type": "exceed_context_size_error", "n_prompt_tokens": 5000, "n_ctx": 4096}
    model_server.script([{"status": 400, "error": {"message": "too long", **sizes}}])
    assert "5000 tokens; it takes 4096" in (await failure(model)).detail


async def test_a_refused_key_is_never_repeated_in_the_error(
    model: OpenAIModel, model_server: ModelProcess
) -> None:
    model_server.script([{"status": 401, "error": {"message": "Incorrect API key: sk-secret"}}])
    assert "sk-secret" not in (await failure(model)).detail


async def test_what_was_said_before_a_cut_arrives(
    model: OpenAIModel, model_server: ModelProcess
) -> None:
    model_server.script([{"text": "half of it"}, {"cut": True}])
    heard: list[Chunk] = []
    with pytest.raises(ModelError):
        async for chunk in model.stream(REQUEST):
            heard.append(chunk)  # noqa: PERF401  # what came before the failure counts
    assert "".join(each.text for each in heard if isinstance(each, TextChunk)) == "half of it"
    assert len(model_server.requests()) == 1


async def test_pings_do_not_keep_a_silent_server_alive(
    connect: Callable[..., OpenAIModel], model_server: ModelProcess
) -> None:
    model_server.script([{"text": "a"}, *[{"ping": True}] * 3, {"stall": True}])
    assert (await failure(connect(idle_s=0.05))).kind == "stalled"
    model_server.script([{"ping": True}, {"stall": True}])
    assert (await failure(connect(first_chunk_s=0.05))).kind == "stalled"


async def test_closing_the_stream_frees_the_server(
    model: OpenAIModel, model_server: ModelProcess
) -> None:
    model_server.script([{"text": "a b c"}, {"stall": True}])
    async with aclosing(model.stream(REQUEST)) as stream:
        async for _ in stream:
            break
    await asyncio.to_thread(model_server.await_gone)


async def test_cancelling_frees_the_server(model: OpenAIModel, model_server: ModelProcess) -> None:
    model_server.script([{"text": "a"}, {"stall": True}])
    heard = asyncio.Event()

    async def listen() -> None:
        async for _ in model.stream(REQUEST):
            heard.set()

    listening = asyncio.create_task(listen())
    await heard.wait()
    listening.cancel()
    await asyncio.wait([listening])
    await asyncio.to_thread(model_server.await_gone)


async def test_a_server_that_is_down_is_named_with_the_remedy() -> None:
    model = OpenAIModel(Provider("local", "http://127.0.0.1:1/v1", remedy="start it there."))
    error = await failure(model)
    await model.close()
    assert error.kind == "unreachable"
    assert error.detail == "No model server answers at http://127.0.0.1:1/v1; start it there."


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


@asynccontextmanager
async def serving(reply: bytes) -> AsyncIterator[OpenAIModel]:
    """Give the models of a server that answers every request with these very bytes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    model = OpenAIModel(local(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    yield model
    await model.close()
    server.close()


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "unreachable"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\nhalf", "unreachable"),
        (
            b"HTTP/1.1 500 No\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nno!",
            "unreachable",
        ),
        (STREAM + b"ff\r\nhalf", "cut"),
    ],
)
async def test_every_way_in_which_a_connection_fails_has_its_kind(reply: bytes, kind: str) -> None:
    async with serving(reply) as model:
        assert (await failure(model)).kind == kind


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b'{"data": 5}', "malformed"), (b"[" * 100_000, "malformed"), (None, "unreachable")],
)
async def test_a_listing_that_cannot_be_read_is_a_failure(body: bytes | None, kind: str) -> None:
    reply = b"SSH-2.0-OpenSSH\r\n" if body is None else JSON % (len(body), body)
    async with serving(reply) as model:
        with pytest.raises(ModelError) as raised:
            await model.list(5.0)
    assert raised.value.kind == kind


async def test_models_without_a_usable_id_are_left_out() -> None:
    ids = b'[{"id": 5}, {"id": ["a"]}, {"id": ""}, {"id": "\\ud800"}, {"id": "a"}, {}, "b", null]'
    body = b'{"data": %s}' % ids
    async with serving(JSON % (len(body), body)) as model:
        assert [each["id"] for each in await model.list(5.0)] == ["a"]


async def test_the_models_are_listed(model: OpenAIModel) -> None:
    assert [each["id"] for each in await model.list(5.0)] == ["fake", "other"]
