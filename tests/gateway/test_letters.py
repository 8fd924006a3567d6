"""Dead letters: turns that their workers died of, and what nothing can read."""

from __future__ import annotations

from base64 import b64decode

import pytest
from gateway_store import Store
from parley_contracts.errors import Invalid, NotFound
from parley_contracts.letters import (
    LARGEST,
    KeepLetter,
    LetterContent,
    LetterList,
    LetterRef,
    ListLetters,
)
from parley_contracts.subjects import TURNS
from parley_contracts.turns import RetryTurn, Turn, TurnOver, TurnSlot
from parley_gateway.store import letters, reports, turns
from parley_gateway.store.claims import LEASE_S, MOST_TAKEOVERS

GARBAGE = b"no turn \x00\xff\n" + "ü".encode()


async def listed(store: Store) -> LetterList:
    found: LetterList = await store.query(letters.list_letters, ListLetters())
    return found


async def content(store: Store, id: str) -> LetterContent:
    found: LetterContent = await store.query(letters.read_letter, LetterRef(id=id))
    return found


async def killer(store: Store) -> Turn:
    """Let a turn lose worker after worker, until it is given up."""
    turn = (await store.send("poison")).turn
    for number in range(MOST_TAKEOVERS):
        await store.begin(turn.id, f"victim-{number}")
        store.clock.advance(LEASE_S + 1)
    assert isinstance(await store.try_begin(turn.id, "one-more"), TurnOver)
    return turn


async def test_rule_8_a_turn_that_killed_its_workers_can_be_looked_at_and_retried(
    store: Store,
) -> None:
    turn = await killer(store)
    [letter] = (await listed(store)).letters
    assert (letter.id, letter.turn_id, letter.subject) == (turn.id, turn.id, "parley.turns.t")
    assert letter.reason == (await store.view()).messages[-1].error.detail  # type: ignore[union-attr]
    slot = TurnSlot.model_validate_json(b64decode((await content(store, turn.id)).payload))
    assert slot.turn_id == turn.id
    again = await store.run(turns.retry, RetryTurn(id=turn.id))
    assert (await listed(store)).total == 0
    await store.answer(again.id, "this time it went well")
    assert (await store.texts())[-1] == "this time it went well"


async def test_what_nothing_can_read_is_kept_once_with_its_bytes(store: Store) -> None:
    letter = KeepLetter.of(TURNS, "t", 7, GARBAGE)
    await store.run(letters.keep, letter)
    await store.run(letters.keep, letter)
    found = await listed(store)
    assert (found.total, len(found.letters)) == (1, 1)
    assert found.letters[0].start == "no turn \\x00\\xff\\nü"
    kept = await content(store, "PARLEY_TURNS-7")
    assert (b64decode(kept.payload), kept.size) == (GARBAGE, len(GARBAGE))
    status = await reports.status(store.database, "0")
    assert status.letters == 1


async def test_the_newest_letters_come_first(store: Store) -> None:
    for number in range(3):
        await store.run(letters.keep, KeepLetter.of(TURNS, "t", number, b"?"))
    found: LetterList = await store.query(letters.list_letters, ListLetters(limit=2))
    assert [each.id for each in found.letters] == ["PARLEY_TURNS-2", "PARLEY_TURNS-1"]
    assert found.total == 3


async def test_of_a_huge_letter_the_beginning_is_kept(store: Store) -> None:
    await store.run(letters.keep, KeepLetter.of(TURNS, "t", 1, b"x" * (LARGEST + 1)))
    kept = await content(store, "PARLEY_TURNS-1")
    assert (len(b64decode(kept.payload)), kept.size) == (LARGEST, LARGEST + 1)


async def test_a_removed_letter_is_gone(store: Store) -> None:
    turn = await killer(store)
    await store.run(letters.remove, LetterRef(id=turn.id))
    assert (await listed(store)).total == 0
    with pytest.raises(NotFound):
        await store.run(letters.remove, LetterRef(id=turn.id))
    with pytest.raises(NotFound):
        await content(store, turn.id)


async def test_bytes_in_no_base64_are_refused(store: Store) -> None:
    broken = KeepLetter.of(TURNS, "t", 1, b"x").model_copy(update={"payload": "ü"})
    with pytest.raises(Invalid, match="base64"):
        await store.run(letters.keep, broken)
