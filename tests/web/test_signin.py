"""What a web process remembers of sign-ins, and when it forgets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from parley_bus import Bus, Events, serve
from parley_contracts.base import now
from parley_contracts.errors import Unauthorized, Unavailable
from parley_contracts.events import SessionsChanged
from parley_contracts.operations import SESSIONS_CHECK
from parley_contracts.sessions import CheckSession, Session
from parley_contracts.subjects import SERVICE
from parley_web import signin
from parley_web.signin import SignIns
from parley_web.state import AppState

CREDENTIAL = CheckSession(secret="secret")


class Checker:
    """The gateway's answer to `sessions.check`, and how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.good = True
        self.reached = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()

    async def check(self, request: CheckSession) -> Session:
        self.asked += 1
        good = self.good
        self.reached.set()
        await self.answers.wait()
        if not good:
            raise Unauthorized("This sign-in was revoked; sign in again.")
        later = now() + timedelta(days=1)
        return Session(id="s", created_at=now(), seen_at=now(), expires_at=later)


@pytest.fixture
async def checker(gateway_bus: Bus) -> AsyncIterator[Checker]:
    checker = Checker()
    service = await serve(gateway_bus, SERVICE, "1.0.0", {SESSIONS_CHECK: checker.check})
    yield checker
    await service.stop()


async def test_a_good_sign_in_is_asked_for_once(state: AppState, checker: Checker) -> None:
    for _ in range(3):
        assert (await state.sign_ins.check(CREDENTIAL)).id == "s"
    assert checker.asked == 1


async def test_a_refusal_is_not_remembered(state: AppState, checker: Checker) -> None:
    checker.good = False
    for _ in range(2):
        with pytest.raises(Unauthorized):
            await state.sign_ins.check(CREDENTIAL)
    assert checker.asked == 2


async def test_a_known_sign_in_holds_while_the_gateway_is_away(
    state: AppState, gateway_bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signin, "REMEMBER_S", 0.0)
    service = await serve(gateway_bus, SERVICE, "1.0.0", {SESSIONS_CHECK: Checker().check})
    await state.sign_ins.check(CREDENTIAL)
    await service.stop()
    assert (await state.sign_ins.check(CREDENTIAL)).id == "s"
    with pytest.raises(Unavailable):
        await state.sign_ins.check(CheckSession(secret="unknown"))


async def test_a_revocation_ends_what_was_remembered_and_the_open_streams(
    state: AppState, checker: Checker, gateway_bus: Bus
) -> None:
    running = [
        asyncio.create_task(state.relay.run()),
        asyncio.create_task(state.sign_ins.run(state.relay)),
    ]
    await state.sign_ins.check(CREDENTIAL)
    stream = asyncio.create_task(state.sign_ins.revoked(CREDENTIAL))
    checker.good = False
    while not stream.done():  # the relay may begin to follow after the first of these
        await Events(gateway_bus).publish(SessionsChanged())
    with pytest.raises(Unauthorized):
        await state.sign_ins.check(CREDENTIAL)
    for task in running:
        task.cancel()


async def test_an_answer_from_before_a_revocation_is_not_remembered(
    web_bus: Bus, checker: Checker
) -> None:
    sign_ins = SignIns(web_bus)
    checker.answers.clear()
    asking = asyncio.create_task(sign_ins.check(CREDENTIAL))
    await checker.reached.wait()
    sign_ins.forget()
    checker.answers.set()
    await asking
    checker.good = False
    with pytest.raises(Unauthorized):
        await sign_ins.check(CREDENTIAL)
