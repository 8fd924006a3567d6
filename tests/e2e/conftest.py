"""The browser of the end-to-end tests: the machine's Chromium, or Playwright's own.

Playwright's asynchronous interface is used, because its synchronous one keeps an event loop running
between tests, which then stands in the way of every asynchronous test of the session.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from browsing import LIMIT_MS, OpenPage
from house import House
from parley_launcher import browser as chromium
from playwright.async_api import Browser, Page, Playwright, StorageState, async_playwright


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for the session."""
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(
            executable_path=_executable(playwright), args=["--no-sandbox"], timeout=LIMIT_MS
        )
        yield launched
        await launched.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sign_in(browser: Browser, house: House) -> StorageState:
    """What a browser keeps that has opened the printed link."""
    context = await browser.new_context()
    context.set_default_timeout(LIMIT_MS)
    page = await context.new_page()
    await page.goto(f"{house.url}/#token={house.token}")
    await page.wait_for_selector("#composer")
    kept = await context.storage_state()
    await context.close()
    return kept


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(
    browser: Browser, house: House, sign_in: StorageState
) -> AsyncIterator[OpenPage]:
    """Open pages, signed in unless told otherwise, each in a browser of its own; at the end fail
    the test if one of them has complained (a blocked script or style, an error of a script)."""
    contexts = []
    complaints: list[str] = []

    async def open_one(path: str = "/", *, signed_in: bool = True, **options: object) -> Page:
        kept = sign_in if signed_in else None
        context = await browser.new_context(
            base_url=house.url,
            storage_state=kept,
            **options,  # type: ignore[arg-type]
        )
        context.set_default_timeout(LIMIT_MS)
        contexts.append(context)
        page = await context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: _note(complaints, said.type, said.text))
        await page.goto(path)
        return page

    yield open_one
    for context in contexts:
        await context.close()
    assert complaints == []


EXPECTED = re.compile("status of (4|503)|net::ERR_")
"""What Chromium says of refusals and of outages: tests that cause them look at the page for it."""


def _note(complaints: list[str], kind: str, text: str) -> None:
    if kind == "error" and not EXPECTED.search(text):
        complaints.append(text)


def _executable(playwright: Playwright) -> str:
    """Return the Chromium that is here; without one skip, except in CI, where it has to be."""
    found = chromium.find() or Path(playwright.chromium.executable_path)
    if found.exists():
        return str(found)
    reason = "no Chromium is here; './parley test' fetches one"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
