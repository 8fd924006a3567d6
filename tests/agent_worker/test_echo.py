"""The built-in model: what it says is known beforehand, and every path can be driven by it."""

from __future__ import annotations

import pytest
from parley_agent_worker.models.base import (
    KINDS,
    CallChunk,
    ChatMessage,
    Chunk,
    FinishChunk,
    ModelError,
    ModelRequest,
    ReasoningChunk,
    TextChunk,
    UsageChunk,
)
from parley_agent_worker.models.echo import EchoModel
from parley_contracts.turns import ToolCall, Usage


async def chunks_of(text: str, *after: ChatMessage, model: str = "echo") -> list[Chunk]:
    messages = [{"role": "user", "content": text}, *after]
    request = ModelRequest(model=model, messages=messages, question=text)
    return [chunk async for chunk in EchoModel(lambda: "The server is down.").stream(request)]


def said(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, TextChunk))


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "  two  spaces\n\tand a tab ",
        "👩‍👩‍👧‍👦 flags 🇪🇺",
        "שלום עולם",
        "bell \x07 escape \x1b[31m unit \x1f",
        "[[wiki]] [[ tool x ]] [[tool",
        "[[tool x " + '{"a":' * 100_000,
        "x" * 100_000,
    ],
)
async def test_it_says_back_exactly_what_the_user_wrote(text: str) -> None:
    assert said(await chunks_of(text)) == text


async def test_it_streams_word_by_word_then_counts_then_ends() -> None:
    assert await chunks_of("one two three") == [
        TextChunk("one "),
        TextChunk("two "),
        TextChunk("three"),
        UsageChunk(Usage(input_tokens=3, output_tokens=3)),
        FinishChunk("stop"),
    ]


async def test_a_tool_is_called_and_its_result_takes_the_directives_place() -> None:
    text = 'what is [[tool calculator {"expression": "6*7"}]] in words'
    call = ToolCall(id="echo-1", name="calculator", arguments='{"expression": "6*7"}')
    assert await chunks_of(text) == [CallChunk(call), FinishChunk("tool_calls")]
    result: ChatMessage = {"role": "tool", "tool_call_id": "echo-1", "content": "42"}
    assert said(await chunks_of(text, {"role": "assistant"}, result)) == "what is 42 in words"


async def test_several_tools_are_called_at_once() -> None:
    chunks = await chunks_of('[[tool a {"x": [[1]]}]] [[tool b ]]')
    calls = [chunk.call for chunk in chunks if isinstance(chunk, CallChunk)]
    assert [(call.name, call.arguments) for call in calls] == [("a", '{"x": [[1]]}'), ("b", "")]


async def test_malformed_arguments_are_passed_on_as_they_stand() -> None:
    chunks = await chunks_of('[[tool a {"x": ]]')
    assert [chunk.call.arguments for chunk in chunks if isinstance(chunk, CallChunk)] == ['{"x":']


async def test_results_of_earlier_turns_do_not_count() -> None:
    earlier = [{"role": "user", "content": "x"}, {"role": "tool", "content": "1"}]
    question = {"role": "user", "content": "[[tool a {}]]"}
    request = ModelRequest("echo", [*earlier, question], question="[[tool a {}]]")
    chunks = [chunk async for chunk in EchoModel().stream(request)]
    assert isinstance(chunks[0], CallChunk)


async def test_it_thinks_first() -> None:
    chunks = await chunks_of("[[think let me see]] yes")
    thought = [chunk.text for chunk in chunks if isinstance(chunk, ReasoningChunk)]
    assert (thought, said(chunks)) == (["let ", "me ", "see"], "yes")
    assert isinstance(chunks[0], ReasoningChunk)


async def test_it_thinks_once_also_when_it_calls_a_tool() -> None:
    result: ChatMessage = {"role": "tool", "tool_call_id": "echo-1", "content": "42"}
    chunks = await chunks_of("[[think hm]] [[tool a {}]]", {"role": "assistant"}, result)
    assert not any(isinstance(chunk, ReasoningChunk) for chunk in chunks)


async def test_it_answers_as_many_words_as_asked_for() -> None:
    assert said(await chunks_of("[[long 3]]")) == "word1 word2 word3"


async def test_slowness_changes_nothing_of_the_words() -> None:
    assert said(await chunks_of("[[slow 0.001]] a b")) == "a b"


@pytest.mark.parametrize("kind", KINDS)
async def test_it_fails_as_a_provider_would(kind: str) -> None:
    with pytest.raises(ModelError) as failure:
        await chunks_of(f"some words [[fail {kind}]]")
    assert failure.value.kind == kind


async def test_a_failure_in_the_middle_comes_after_the_words() -> None:
    heard: list[Chunk] = []
    request = ModelRequest("echo", [], question="some words [[fail cut]]")
    with pytest.raises(ModelError):
        async for chunk in EchoModel().stream(request):
            heard.append(chunk)  # noqa: PERF401  # what came before the failure counts
    assert said(heard) == "some words"


@pytest.mark.parametrize("text", ["[[fail nonsense]]", "[[slow down]]", "[[long -1]]"])
async def test_a_directive_that_makes_no_sense_says_why(text: str) -> None:
    with pytest.raises(ModelError) as failure:
        await chunks_of(text)
    assert failure.value.kind == "bad-request"
    assert text in failure.value.detail


async def test_demo_introduces_parley_and_echoes() -> None:
    words = said(await chunks_of("hello there", model="demo"))
    assert words.startswith("Hello, I am Parley. No model is connected yet")
    assert "LOCAL_BASE_URL" in words
    assert "The server is down." in words
    assert words.endswith("hello there")


async def test_demo_with_a_directive_only_obeys() -> None:
    assert said(await chunks_of("[[long 2]]", model="demo")) == "word1 word2"
