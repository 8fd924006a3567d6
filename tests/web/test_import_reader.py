"""An import's JSON is read piece by piece; where the pieces are cut makes no difference."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_contracts.errors import Invalid, ParleyError
from parley_contracts.messages import TextPart
from parley_contracts.threads import ImportMessage
from parley_web.api.imports import MAX_MESSAGE, PAGE_MESSAGES, ThreadReader
from parley_web.problems import BadRequest

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
numbers = st.integers(1 - 2**63, 2**63 - 1)
messages = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "agent"]), "text": texts},
        optional={
            "parts": st.lists(st.builds(TextPart, step=st.integers(0, 9), text=texts)).map(
                lambda parts: [each.model_dump() for each in parts]
            ),
            "origin": st.dictionaries(texts, st.none() | numbers | st.lists(texts)),
            "position": numbers,
        },
    )
)


def read(*pieces: bytes) -> tuple[dict[str, Any], list[ImportMessage]]:
    reader = ThreadReader()
    for piece in pieces:
        reader.feed(piece)
    reader.close()
    return reader.settings, list(reader.take_page())


@given(messages, texts, st.booleans(), st.lists(st.integers(0, 500)))
def test_every_character_survives_wherever_the_body_is_cut(
    messages: list[dict[str, Any]], title: str, ascii_only: bool, cuts: list[int]
) -> None:
    body = json.dumps({"title": title, "messages": messages}, ensure_ascii=ascii_only).encode()
    places = [0, *sorted(cut for cut in cuts if cut < len(body)), len(body)]
    pieces = [body[a:b] for a, b in pairwise(places) if a < b]
    settings, found = read(*pieces)
    assert settings == {"title": title}
    assert found == [ImportMessage.model_validate(each) for each in messages]


def test_an_export_is_read_with_the_thread_that_it_names() -> None:
    export = {
        "format": "parley-thread",
        "thread": {"title": "Name", "agent_id": "a1", "head": 1},
        "messages": [{"id": "m", "role": "user", "text": "x", "origin": {"title": "no"}}],
    }
    settings, (message,) = read(json.dumps(export).encode())
    assert settings == {"title": "Name", "agent_id": "a1"}
    assert message.text == "x"


def test_a_full_page_asks_to_be_taken() -> None:
    reader = ThreadReader()
    reader.feed(b'{"messages": [' + b'{"role":"user","text":"a"},' * PAGE_MESSAGES)
    assert reader.page_is_full
    assert len(reader.take_page()) == PAGE_MESSAGES
    assert not reader.page_is_full


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{}", "messages"),
        (b"[]", "messages"),
        (b'{"messages": 5}', "messages"),
        (b'{"messages": [5]}', "messages.0"),
        (b'{"messages": [{"role": "user", "text": "a"}, {"text": "b"}]}', "messages.1.role"),
        (b'{"messages": [{"role": "bot", "text": "a"}]}', "messages.0.role"),
        (b'{"messages": [{"role": "user", "text": "\\u0000"}]}', "messages.0.text"),
        (b'{"messages": [', None),
        (b"nonsense", None),
        (b"\xff", None),
        (b'{"title": "\xed\xa0\x80", "messages": []}', None),
        (b'{"messages": []} tail', None),
    ],
)
def test_what_cannot_be_imported_is_refused_with_its_place(body: bytes, field: str | None) -> None:
    with pytest.raises(ParleyError) as refused:
        read(body)
    assert refused.value.field == field
    assert refused.value.detail.endswith(".")


def test_what_is_nested_too_deeply_is_refused_at_once() -> None:
    with pytest.raises(BadRequest, match="nested too deeply"):
        ThreadReader().feed(b"[" * 1_000_000)


def test_a_message_that_never_ends_is_refused_before_it_fills_the_memory() -> None:
    reader = ThreadReader()
    reader.feed(b'{"messages": [{"role": "user", "text": "')
    with pytest.raises(Invalid, match="too long"):
        for _ in range(MAX_MESSAGE // 2**20 + 1):
            reader.feed(b"x" * 2**20)


@pytest.mark.parametrize(
    "number", ["1e999999999999", "-1e400", "9" * 5_000, "9" * 500_000, str(2**63), f"0.1e{10**9}"]
)
def test_a_number_without_measure_is_refused(number: str) -> None:
    body = f'{{"messages": [{{"role": "user", "text": "x", "origin": {{"n": {number}}}}}]}}'
    with pytest.raises(BadRequest, match="number that is too large"):
        read(body.encode())
