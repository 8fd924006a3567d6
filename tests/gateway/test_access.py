"""The owner's token, sign-ins, and the lock on the data folder."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from gateway_store import Clock, Store
from parley_contracts.errors import Conflict, Invalid, NotFound, TooMany, Unauthorized, Unavailable
from parley_contracts.sessions import SessionRef
from parley_gateway.access import FILE_NAME, MOST_CLIENTS, Access, access_token
from parley_gateway.lock import FolderLock
from parley_gateway.store import reports, sessions

DAY = 86_400


async def check(store: Store, secret: str) -> str:
    async with store.database.reading() as connection:
        return (await reports.find_session(connection, secret, store.clock())).id


def test_the_token_is_made_once_and_only_the_owner_can_read_it(tmp_path: Path) -> None:
    token = access_token(tmp_path, None)
    assert access_token(tmp_path, None) == token
    assert len(token) >= 43
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_a_token_that_is_set_is_kept_nowhere(tmp_path: Path) -> None:
    assert access_token(tmp_path, "a secret of mine") == "a secret of mine"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("token", ["", "short", "x" * 201, "grüße an alle", "two\nlines of it"])
def test_a_token_that_cannot_be_used_ends_the_start_in_a_sentence(
    tmp_path: Path, token: str
) -> None:
    if token:
        with pytest.raises(Invalid, match="PARLEY_ACCESS_TOKEN must have 8 to 200"):
            access_token(tmp_path, token)
    (tmp_path / FILE_NAME).write_text(token)
    with pytest.raises(Invalid, match="remove the file"):
        access_token(tmp_path, None)


def test_a_token_that_cannot_be_read_ends_the_start_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(Unavailable, match="cannot be read: Is a directory"):
        access_token(tmp_path, None)


def test_a_token_that_cannot_be_kept_is_not_used(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"cannot be kept in .*No such file"):
        access_token(tmp_path / "missing", None)


def guess(access: Access, client: str, times: int) -> None:
    """Send wrong tokens that are refused as such."""
    for _ in range(times):
        with pytest.raises(Unauthorized, match="access token"):
            access.require("wrong", client)


def test_a_clients_sixth_wrong_token_in_a_minute_is_too_many() -> None:
    clock = Clock()
    access = Access("right", clock)
    guess(access, "stranger", 5)
    with pytest.raises(TooMany, match="wait a minute"):
        access.require("wrong", "stranger")
    guess(access, "another", 1)
    clock.advance(61)
    guess(access, "stranger", 1)


def test_wrong_tokens_never_keep_the_right_one_out() -> None:
    access = Access("right", Clock())
    guess(access, "stranger", 5)
    access.require("right", "stranger")
    access.require("right", "owner")


def test_only_so_many_guessing_clients_are_remembered() -> None:
    access = Access("right", Clock())
    guess(access, "first", 5)
    for number in range(MOST_CLIENTS):
        guess(access, f"client {number}", 1)
    guess(access, "first", 1)


async def test_a_session_is_stored_as_a_hash_only(store: Store) -> None:
    signed_in = await store.run(sessions.start, "Firefox")
    assert await check(store, signed_in.secret) == signed_in.id
    rows = await store.rows("SELECT * FROM owner_sessions")
    assert signed_in.secret not in str(rows)
    with pytest.raises(Unauthorized, match="sign in again"):
        await check(store, "guessed")


async def test_a_session_lives_for_ninety_days_after_its_last_use(store: Store) -> None:
    signed_in = await store.run(sessions.start, "Firefox")
    store.clock.advance(80 * DAY)
    await store.run(sessions.extend, signed_in.secret)
    store.clock.advance(80 * DAY)
    assert await check(store, signed_in.secret) == signed_in.id
    store.clock.advance(11 * DAY)
    with pytest.raises(Unauthorized):
        await check(store, signed_in.secret)
    with pytest.raises(Unauthorized):
        await store.run(sessions.extend, signed_in.secret)


async def test_a_revoked_session_is_over_and_everybody_hears_of_it(store: Store) -> None:
    kept = await store.run(sessions.start, "Firefox")
    ended = await store.run(sessions.start, "Chromium")
    await store.run(sessions.revoke, SessionRef(id=ended.id))
    assert store.events()[-1] == "sessions_changed"
    with pytest.raises(Unauthorized):
        await check(store, ended.secret)
    async with store.database.reading() as connection:
        listed = await reports.list_sessions(connection, store.clock())
    assert [(session.id, session.label) for session in listed.sessions] == [(kept.id, "Firefox")]
    with pytest.raises(NotFound):
        await store.run(sessions.revoke, SessionRef(id=ended.id))


def test_rule_19_one_gateway_a_data_folder(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(Conflict, match="Another Parley uses the data folder"):
        FolderLock(tmp_path)
    lock.release()
    FolderLock(tmp_path).release()
