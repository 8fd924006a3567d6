"""Characters and numbers that a database cannot hold are refused or mended, on either the same."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from gateway_store import Store
from parley_contracts import operations as op
from parley_contracts.base import LARGEST_COUNT
from parley_contracts.errors import ParleyError
from parley_contracts.operations import Operation
from parley_contracts.sentences import invalid
from parley_contracts.turns import AnswerStep, Claim, RecordStep, ToolCall, Usage
from parley_gateway import handlers
from parley_gateway.store import claims, sessions
from parley_gateway.store.transaction import Transaction
from pydantic import ValidationError

GOLDEN = Path(__file__).parents[1] / "contracts" / "golden"
TEXTS = ["a\0b", "\ud800", "\U0010ffff", "x" * 5_000]
NUMBERS = [2**31 - 1, 2**31, 2**63, 10**30, -1, -(2**31) - 1, -(2**63) - 1]
USAGE = {"input_tokens": 1, "output_tokens": 1, "cached_tokens": 1, "reasoning_tokens": 1}
ANSWER = {
    "number": 5,
    "text": "so",
    "calls": [{"id": "c9", "name": "calculator", "arguments": "{}"}],
    "usage": USAGE,
    "model": "local:qwen3",
}
MORE: dict[str, dict[str, Any]] = {
    "CreateThread": {"agent_id": "echo", "title": "title"},
    "FinishTurn": {"outcome": "failed", "error": {"kind": "k", "detail": "d"}, "step": ANSWER},
    "ImportThread": {"agent": "echo", "agent_id": "echo"},
    "ListThreads": {"q": "words", "cursor": "t:1:id", "limit": 5},
    "ReadThread": {"before": 3},
    "RecordStep": {"step": {"kind": "answer", **ANSWER}},
    "SendMessage": {"id": "m8", "turn_id": "u8"},
    "UpdateThread": {"agent_id": "echo"},
}
"""What the golden requests lack, or must say to be new."""
CLAIM = Claim(turn_id="u1", attempt=1, claim="k1")


class Undone(Exception):
    """Takes a command back."""


@pytest.fixture
async def known(store: Store) -> AsyncIterator[Store]:
    """A store in which the golden requests find what they name."""
    await store.thread("t1")
    await store.send("question", "t1", id="m1", turn_id="u1")
    assert (await store.begin("u1", "k1")).claim == CLAIM
    step = AnswerStep(number=0, calls=(ToolCall(id="c1", name="calculator", arguments="{}"),))
    await store.run(claims.record_step, RecordStep(claim=CLAIM, step=step))
    yield store


@pytest.mark.parametrize("operation", op.OPERATIONS, ids=lambda each: each.name)
async def test_odd_content_anywhere_is_taken_or_refused_in_a_sentence(
    known: Store, operation: Operation[Any, Any]
) -> None:
    for body in odd_bodies(operation.request.__name__):
        try:
            await perform(known, operation, json.dumps(body).encode())
        except ParleyError as refusal:
            assert 400 <= refusal.status < 500, (body, refusal.detail)
            assert refusal.detail.endswith("."), (body, refusal.detail)


async def test_what_a_provider_counts_is_kept_within_reach(known: Store) -> None:
    usage = Usage(input_tokens=10**30, output_tokens=-(10**30), cached_tokens=7)
    turn = await known.finish(CLAIM, usage=usage, first_token_ms=2**40)
    assert turn.usage == Usage(input_tokens=LARGEST_COUNT, output_tokens=0, cached_tokens=7)
    assert turn.first_token_ms == LARGEST_COUNT


async def perform(store: Store, operation: Operation[Any, Any], body: bytes) -> None:
    """Do what is asked, and take it back."""
    try:
        request = operation.request.model_validate_json(body)
    except ValidationError as error:
        raise invalid(error) from None
    if query := handlers._QUERIES.get(operation):
        await store.query(query, request)
    elif command := COMMANDS.get(operation):
        with pytest.raises(Undone):
            await store.run(undone, command, request)


def undone(tx: Transaction, command: Callable[..., Any], request: Any) -> None:
    command(tx, request)
    raise Undone


COMMANDS: dict[Operation[Any, Any], Callable[..., Any]] = {
    **handlers._COMMANDS,
    op.TURNS_BEGIN: partial(claims.begin, no_takeover_before=0),
    op.WORKERS_BEAT: claims.beat,
    op.SESSIONS_SIGN_IN: lambda tx, request: sessions.start(tx, request.label),
}


def odd_bodies(name: str) -> Iterator[dict[str, Any]]:
    """Yield the golden request of this name, each time with something odd in one place."""
    golden = json.loads((GOLDEN / f"{name}.json").read_text())
    for body in (golden, golden | MORE.get(name, {})):
        yield from odd(body)


def odd(value: Any) -> Iterator[Any]:
    """Yield the value, each time with something odd in one place."""
    match value:
        case dict():
            for key, inner in value.items():
                yield from (value | {key: each} for each in odd(inner))
        case list():
            for place, inner in enumerate(value):
                yield from ([*value[:place], each, *value[place + 1 :]] for each in odd(inner))
        case str():
            yield from TEXTS
        case int() if not isinstance(value, bool):
            yield from NUMBERS
