"""The dialects of chat completion streams, chunk by chunk."""

from __future__ import annotations

from typing import Any

import pytest
from parley_agent_worker.models.base import (
    CallChunk,
    Chunk,
    FinishChunk,
    LoadingChunk,
    ModelError,
    ReasoningChunk,
    TextChunk,
    UsageChunk,
)
from parley_agent_worker.models.chunks import MOST_TOKENS, ChunkReader
from parley_contracts.turns import ToolCall, Usage


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"object": "chat.completion.chunk", "choices": [choice]}


def read(*raw: object, tools: tuple[str, ...] = ()) -> list[Chunk]:
    reader = ChunkReader(tools)
    return [each for one in raw for each in reader.read(one)] + list(reader.end())


def calls(*raw: object) -> list[tuple[str, str]]:
    found = [each.call for each in read(*raw) if isinstance(each, CallChunk)]
    return [(call.name, call.arguments) for call in found]


STOP = chunk("stop")


def test_text_and_reasoning_in_both_spellings() -> None:
    assert read(chunk(reasoning="a"), chunk(reasoning_content="b"), chunk(content="c"), STOP) == [
        ReasoningChunk("a"),
        ReasoningChunk("b"),
        TextChunk("c"),
        FinishChunk("stop"),
    ]


def test_a_refusal_is_an_answer() -> None:
    assert read(chunk(refusal="I cannot."), STOP)[0] == TextChunk("I cannot.")


def test_usage_comes_in_a_chunk_without_choices() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 7},
        "completion_tokens_details": None,
    }
    expected = Usage(input_tokens=9, output_tokens=4, cached_tokens=7)
    assert UsageChunk(expected) in read(STOP, {"choices": [], "usage": usage})


def test_usage_that_no_database_can_keep_is_brought_within_bounds() -> None:
    usage = {"prompt_tokens": 10**30, "completion_tokens": -1}
    told, _ = read({"choices": [], "usage": usage}, STOP)
    assert told == UsageChunk(Usage(input_tokens=MOST_TOKENS))


def test_tool_calls_by_index_even_when_interleaved() -> None:
    assert calls(
        chunk(tool_calls=[{"index": 0, "id": "a", "function": {"name": "x", "arguments": "{"}}]),
        chunk(tool_calls=[{"index": 1, "id": "b", "function": {"name": "y", "arguments": "[1"}}]),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": "}"}}]),
        chunk(tool_calls=[{"index": 1, "function": {"arguments": "]"}}]),
        STOP,
    ) == [("x", "{}"), ("y", "[1]")]


def test_tool_calls_without_index_by_new_id_else_the_last() -> None:
    assert calls(
        chunk(tool_calls=[{"id": "a", "function": {"name": "x", "arguments": "{"}}]),
        chunk(tool_calls=[{"function": {"arguments": "}"}}]),
        chunk(tool_calls=[{"id": "b", "function": {"name": "y", "arguments": ""}}]),
        chunk(tool_calls=[{"id": "b", "function": {"arguments": "{}"}}]),
        STOP,
    ) == [("x", "{}"), ("y", "{}")]


def test_a_call_without_an_id_gets_one() -> None:
    found = read(chunk(tool_calls=[{"index": 0, "function": {"name": "x"}}]), STOP)[0]
    assert isinstance(found, CallChunk)
    assert found.call.id


def test_loading_text_of_llama_swap_is_no_answer() -> None:
    loading = {"choices": [{"delta": {"reasoning_content": "loading model"}}]}
    assert read(loading, STOP) == [LoadingChunk("loading model"), FinishChunk("stop")]


def test_a_stream_without_a_finish_reason_was_cut() -> None:
    with pytest.raises(ModelError) as failure:
        read(chunk(content="half"))
    assert failure.value.kind == "cut"


@pytest.mark.parametrize(
    "raw", [None, "text", [], {}, {"choices": None}, {"choices": ["x"]}, {"prompt_progress": {}}]
)
def test_chunks_that_say_nothing_are_passed_over(raw: object) -> None:
    assert read(raw, STOP) == [FinishChunk("stop")]


def test_a_character_cut_in_two_is_joined_and_half_of_one_is_replaced() -> None:
    assert read(
        chunk(content="a\ud83d"), chunk(content="\ude00b"), chunk("stop", content="\ud83d")
    ) == [
        TextChunk("a"),
        TextChunk("😀b"),
        TextChunk("\ufffd"),
        FinishChunk("stop"),
    ]


def test_nul_never_gets_through() -> None:
    call = {"index": 0, "id": "a\x00", "function": {"name": "x\x00", "arguments": "{}\x00"}}
    first, second, _ = read(chunk(content="a\x00b", tool_calls=[call]), STOP)
    assert first == TextChunk("ab")
    assert second == CallChunk(ToolCall(id="a", name="x", arguments="{}"))


BLOCK = '<tool_call>\n{"name": "x", "arguments": {"a": 1}}\n</tool_call>'


def said(chunks: list[Chunk]) -> str:
    return "".join(each.text for each in chunks if isinstance(each, TextChunk))


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_whole_tool_call_in_the_text_is_a_call(size: int) -> None:
    text = f"I look. {BLOCK} Good < better."
    pieces = [chunk(content=text[at : at + size]) for at in range(0, len(text), size)]
    chunks = read(*pieces, STOP, tools=("x",))
    found = [each.call for each in chunks if isinstance(each, CallChunk)]
    assert [(call.name, call.arguments) for call in found] == [("x", '{"a": 1}')]
    assert said(chunks) == "I look.  Good < better."


@pytest.mark.parametrize(
    "text",
    [
        BLOCK.replace('"x"', '"other"'),
        '{"name": "x", "arguments": {}}',
        "<tool_call>{broken}</tool_call>",
        "<tool_call>[1]</tool_call>",
        f"<tool_call>{'[' * 5000}</tool_call>",
        '<tool_call>{"name": "x"',
        "a <tool_cal",
    ],
)
def test_anything_else_in_the_text_stays_text(text: str) -> None:
    chunks = read(*(chunk(content=each) for each in text), STOP, tools=("x",))
    assert said(chunks) == text
    assert not [each for each in chunks if isinstance(each, CallChunk)]


def test_text_without_a_block_is_not_held_back() -> None:
    reader = ChunkReader(("x",))
    assert list(reader.read(chunk(content="a < b"))) == [TextChunk("a < b")]
    assert list(reader.read(chunk(content="a <t"))) == [TextChunk("a ")]
    assert list(reader.read(chunk(content="d>"))) == [TextChunk("<td>")]
