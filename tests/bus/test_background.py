"""Work in the background of a connection."""

from __future__ import annotations

import asyncio
import logging

import pytest
from parley_bus import Bus
from parley_contracts.errors import Unavailable


async def test_work_that_fails_is_told_with_its_fault_and_work_that_is_given_up_is_not(
    web: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async def lack() -> None:
        raise Unavailable("The broker is away.")

    async def go_on() -> None:
        await asyncio.Event().wait()

    caplog.set_level(logging.INFO, "parley_bus.connection")
    given_up = web.spawn(go_on())
    given_up.cancel()
    await asyncio.wait([web.spawn(fail()), web.spawn(lack()), given_up])
    told = [(each.levelname, each.getMessage(), each.exc_info) for each in caplog.records]
    (failed, ended) = told
    assert failed[:2] == ("ERROR", "work in the background failed")
    assert failed[2]
    assert failed[2][0] is ZeroDivisionError
    assert ended == ("INFO", "work in the background ended: The broker is away.", None)
