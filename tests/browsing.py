"""The words of the end-to-end tests: what a person does on the page and finds there."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from uuid import uuid4

from playwright.async_api import Locator, Page, expect

OpenPage = Callable[..., Awaitable[Page]]
"""Opens a path of the house in a browser of its own, signed in unless told otherwise."""
THREAD = re.compile(r"/t/[0-9a-f]+$")
LIMIT_MS = 60_000
"""Nothing that is waited for in a browser takes nearly as long."""
SLOW = f"[[slow 0.5]] {' '.join(f'word{number}' for number in range(1, 400))}"
"""An answer that is being written for as long as a test may need; it stops it in the end."""

expect.set_options(timeout=LIMIT_MS)


def unique(words: str = "hello") -> str:
    """Words that no other test of this house has said."""
    return f"{words} {uuid4().hex[:12]}"


def box(page: Page) -> Locator:
    """The box where messages are written."""
    return page.locator("#text")


async def write(page: Page, text: str) -> None:
    """Write a message and send it."""
    await page.fill("#text", text)
    await page.press("#text", "Enter")


async def begin(page: Page, text: str, agent: str = "Echo") -> None:
    """Begin a thread on the page where new ones begin."""
    await page.select_option("#agent", label=agent)
    await page.wait_for_load_state("load")
    await write(page, text)
    await expect(page).to_have_url(THREAD)
    await page.wait_for_load_state("load")


def answers(page: Page) -> Locator:
    """The answers that are complete."""
    return page.locator("#messages > .reply")


def questions(page: Page) -> Locator:
    """The questions that were answered, or are being answered."""
    return page.locator("#messages > .question")


def running(page: Page) -> Locator:
    """The answer that is being written."""
    return page.locator("#running .reply")


async def stop(page: Page) -> None:
    """Stop the answer that is being written."""
    await page.get_by_role("button", name="Stop", exact=True).click()


async def choose(page: Page, name: str) -> None:
    """Choose from the menu of the thread."""
    await page.get_by_role("button", name="More for this thread").click()
    await page.locator("#thread-menu").get_by_text(name).click()
