"""Frames of Server-Sent Events."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from parley_web.sse import frame, opening


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from([None, 2]))
def test_any_text_stays_on_one_line_and_survives(text: str, indent: int | None) -> None:
    payload = json.dumps({"text": text}, ensure_ascii=False, indent=indent).encode()
    lines = frame("text_delta", payload, 7).decode().splitlines()
    assert lines[:2] == ["id: 7", "event: text_delta"]
    assert json.loads(lines[2].removeprefix("data: ")) == {"text": text}
    assert lines[3:] == [""]


def test_bytes_without_line_breaks_pass_as_they_are() -> None:
    payload = '{"text":"ä😀\\n"}'.encode()
    assert frame("text_delta", payload) == b"event: text_delta\ndata: " + payload + b"\n\n"


def test_a_stream_opens_with_its_place_if_it_has_one() -> None:
    assert opening(5) == b"retry: 1000\nid: 5\n\n"
    assert opening() == b"retry: 1000\n\n"
