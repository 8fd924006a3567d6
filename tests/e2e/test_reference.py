"""The reference of the API, for people, under the page's own strict policy."""

from __future__ import annotations

import pytest
from browsing import OpenPage
from house import House
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_it_is_shown_offline_and_leads_from_calls_to_schemas(open_page: OpenPage) -> None:
    page = await open_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto("/api/docs")
    await expect(page.locator("h1")).to_have_text("The API of Parley")
    await expect(page.locator("body")).to_have_css("display", "grid")  # the style was applied
    call = page.locator("#send")
    await call.locator("summary").click()
    await expect(call.locator("th").get_by_text("client_id", exact=True)).to_be_visible()
    await call.get_by_role("link", name="Accepted").click()
    await expect(page.locator("#Accepted")).to_be_in_viewport()
    own = page.url.partition("/api/docs")[0]
    assert all(url.startswith(own) for url in asked)


async def test_whoever_is_not_signed_in_is_led_to_it_through_the_sign_in(
    open_page: OpenPage, house: House
) -> None:
    page = await open_page("/api/docs", signed_in=False)
    await page.fill("#token", house.token)
    await page.press("#token", "Enter")
    await expect(page.locator("h1")).to_have_text("The API of Parley")


async def test_a_phone_shows_it_without_moving_sideways(open_page: OpenPage) -> None:
    page = await open_page("/api/docs", viewport={"width": 390, "height": 844}, is_mobile=True)
    await page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
