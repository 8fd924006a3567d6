"""The page for everybody: screen readers, keyboards, phones, bad networks, long threads."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from urllib.parse import quote, urlsplit

import pytest
from api_client import Api
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from browsing import SLOW, OpenPage, answers, begin, box, questions, running, stop, unique, write
from house import House
from playwright.async_api import Locator, Page, Route, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE = {
    "viewport": {"width": 390, "height": 780},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
RICH = """Words with `code`, [a link](https://example.com) and $x^2$.

## Heading

- [x] done
1. first

| a | b |
|--:|:-:|
| 1 | 2 |

```python
def f(x: int) -> str:  # a comment
    return f"{x!r}"
```

> quoted, with a very long line: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa

$$
\\frac{a}{b}
$$
"""


async def violations(page: Page, within: str | None = None) -> list[str]:
    """What axe finds on the page or within an element of it, by rule and element."""
    results = await Axe().run(page, within)
    return [
        f"{found['id']}: {node['html']}"
        for found in results.response["violations"]
        for node in found["nodes"]
    ]


async def rich_thread(house: House) -> str:
    """A thread with everything that messages can hold."""
    async with Api(house.url, house.token) as api:
        pairs = [{"role": "user", "text": "Show me"}, {"role": "agent", "text": RICH}]
        body = {"title": unique("rich"), "messages": pairs}
        thread: str = (await api.call("POST", "/api/threads/import", body, status=201))["id"]
        await api.ask(thread, '[[think Hm.]] [[tool calculator {"expression": "6*7"}]]')
        await api.ask(thread, "[[fail stalled]]")
    return thread


async def long_thread(house: House, length: int) -> str:
    """A thread with a history, made at once."""
    async with Api(house.url, house.token) as api:
        messages = [
            {"role": "agent" if number % 2 else "user", "text": f"number {number}."}
            for number in range(length)
        ]
        body = {"title": unique("long"), "messages": messages}
        made = await api.call("POST", "/api/threads/import", body, status=201)
    return str(made["id"])


@pytest.mark.parametrize("colours", ["light", "dark"])
async def test_axe_finds_nothing_on_any_page(
    open_page: OpenPage, house: House, colours: str
) -> None:
    thread = await rich_thread(house)
    for path in ("/", f"/t/{thread}", "/t/unknown", "/api/docs"):
        page = await open_page(path, color_scheme=colours)
        await page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert await violations(page) == []
    page = await open_page("/signin", signed_in=False, color_scheme=colours)
    assert await violations(page) == []


async def test_axe_finds_nothing_on_a_phone_and_in_its_drawer(
    open_page: OpenPage, house: House
) -> None:
    page = await open_page(f"/t/{await rich_thread(house)}", **PHONE)
    assert await violations(page) == []
    await page.get_by_role("button", name="Threads", exact=True).click()
    await expect(page.locator("#sidebar")).to_be_in_viewport()
    assert await violations(page) == []


async def test_a_phone_shows_all_without_moving_sideways(open_page: OpenPage, house: House) -> None:
    page = await open_page(f"/t/{await rich_thread(house)}", **PHONE)
    await expect(answers(page)).to_have_count(3)
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width == 390
    inner: int = await page.evaluate(
        "(s => s.scrollWidth - s.clientWidth)(document.getElementById('scroller'))"
    )
    assert inner == 0


async def test_what_is_pressed_on_a_phone_is_large_enough(
    open_page: OpenPage, house: House
) -> None:
    page = await open_page(f"/t/{await rich_thread(house)}", **PHONE)
    await page.get_by_role("button", name="Threads", exact=True).click()
    await expect(page.locator("#sidebar")).to_be_in_viewport()
    small = await page.evaluate(
        """() => [...document.querySelectorAll(
            "button, select, summary, .threads a, .new, #search input")]
            .filter((each) => each.checkVisibility())
            .map((each) => [each.outerHTML.slice(0, 60), each.getBoundingClientRect()])
            .filter(([, box]) => box.height < 43.5 || box.width < 43.5)
            .map(([html, box]) => `${html} ${box.width} × ${box.height}`)"""
    )
    assert small == []


async def test_the_drawer_opens_a_thread_and_closes_by_escape(
    open_page: OpenPage, house: House
) -> None:
    page = await open_page(f"/t/{await long_thread(house, 4)}", **PHONE)
    await page.get_by_role("button", name="Threads", exact=True).click()
    await expect(page.locator("#sidebar")).to_be_in_viewport()
    assert await page.evaluate("document.querySelector('#scroller').inert")
    await page.keyboard.press("Escape")
    await expect(page.locator("#sidebar")).not_to_be_in_viewport()
    await page.get_by_role("button", name="Threads", exact=True).click()
    await page.get_by_role("link", name="New thread", exact=True).click()
    await expect(page.locator(".greeting")).to_be_visible()


async def test_progress_is_announced_and_words_that_stream_are_not(
    open_page: OpenPage,
) -> None:
    page = await open_page()
    await begin(page, "begin")
    await expect(answers(page)).to_have_count(1)
    await page.evaluate(
        """() => {
            window.said = [];
            const added = (record) => [...record.addedNodes].map((node) => node.textContent);
            new MutationObserver((records) => said.push(...records.flatMap(added)))
                .observe(document.getElementById("announcer"), { childList: true });
        }"""
    )
    await write(page, '[[tool calculator {"expression": "1+1"}]] it is')
    await expect(answers(page)).to_have_count(2)
    said = await page.evaluate("said")
    assert said == ["Echo is answering.", "calculator runs.", "Echo has answered."]
    assert await page.locator("#conversation [aria-live]").count() == 0


async def test_focus_stays_in_the_box_while_an_answer_streams(open_page: OpenPage) -> None:
    page = await open_page()
    await begin(page, SLOW)
    await box(page).focus()
    await expect(running(page)).to_contain_text("word2")
    await box(page).press_sequentially("meanwhile")
    await expect(running(page)).to_contain_text("word4")
    await expect(box(page)).to_be_focused()
    await expect(box(page)).to_have_value("meanwhile")
    await stop(page)


async def test_focus_stays_on_a_thread_whose_entry_changes(open_page: OpenPage) -> None:
    page, other = await open_page(), await open_page()
    await begin(other, unique("watched"))
    title = await other.locator("h1").inner_text()
    entry = page.locator("#threads li").filter(has_text=title)
    await entry.locator("a").focus()
    await expect(entry.locator("time")).to_be_visible()
    await write(other, "again")
    await expect(answers(other)).to_have_count(2)
    await expect(entry.locator("time")).to_be_visible()
    await expect(entry.locator("a")).to_be_focused()


async def test_a_reader_who_scrolled_up_is_left_alone_and_can_jump_to_the_end(
    open_page: OpenPage, house: House
) -> None:
    page = await open_page(f"/t/{await long_thread(house, 60)}")
    await expect(answers(page).last).to_be_in_viewport()
    read = page.locator('#messages > [data-position="30"]')
    await read.scroll_into_view_if_needed()
    await expect(page.get_by_role("button", name="Latest")).to_be_visible()
    place = await _place(read)
    await write_from_elsewhere(house, page, "news")
    await expect(answers(page).filter(has_text="news")).to_have_count(1)
    assert abs(await _place(read) - place) < 3
    await page.get_by_role("button", name="Latest").click()
    await expect(answers(page).last).to_be_in_viewport()
    await write_from_elsewhere(house, page, "more news")
    await expect(answers(page).filter(has_text="more news")).to_be_in_viewport()


async def test_earlier_messages_load_upwards_and_keep_the_place_that_is_read(
    open_page: OpenPage, house: House
) -> None:
    page = await open_page(f"/t/{await long_thread(house, 200)}")
    await expect(questions(page).last).to_be_in_viewport()
    first = page.locator('#messages > [data-position="141"]')
    await expect(page.locator("#messages > article").first).to_have_attribute(
        "data-position", "141"
    )
    await first.scroll_into_view_if_needed()
    await expect(page.locator('#messages > [data-position="81"]')).to_have_count(1)
    await expect(first).to_be_in_viewport()
    await page.evaluate("document.getElementById('scroller').scrollTop = 0")
    await expect(page.locator('#messages > [data-position="21"]')).to_have_count(1)
    await page.evaluate("document.getElementById('scroller').scrollTop = 0")
    await expect(page.get_by_text("number 0.", exact=True)).to_have_count(1)
    await expect(page.locator("#older")).to_be_hidden()
    positions: list[str] = await page.eval_on_selector_all(
        "#messages > article", "all => all.map((each) => each.dataset.position)"
    )
    assert positions == [str(number) for number in range(1, 201)]


async def test_a_lost_connection_is_said_and_caught_up_with(
    open_page: OpenPage, house: House
) -> None:
    page = await open_page(f"/t/{await long_thread(house, 4)}")
    await expect(page.locator("#offline")).to_be_hidden()
    await page.context.set_offline(True)
    await page.evaluate(
        "dispatchEvent(new Event('pagehide')); dispatchEvent(new Event('pageshow'))"
    )
    await expect(page.locator("#offline")).to_be_visible()
    await write_from_elsewhere(house, page, "while you were away")
    await page.context.set_offline(False)
    await expect(answers(page).filter(has_text="while you were away")).to_have_count(1)
    await expect(page.locator("#offline")).to_be_hidden()


async def test_the_page_goes_on_by_itself_when_the_web_service_was_killed(
    open_page: OpenPage, make_house: Callable[..., House]
) -> None:
    house = make_house().start()
    page = await open_page(f"{house.url}/#token={house.token}", signed_in=False)
    await begin(page, SLOW)
    await expect(running(page)).to_contain_text("word2")
    with house.unattended():
        os.kill(house.pid("web"), signal.SIGKILL)
        await expect(page.locator("#offline")).to_be_visible()
    await expect(page.locator("#offline")).to_be_hidden()
    await expect(running(page)).to_contain_text("word1 word2 word3")
    await stop(page)
    await expect(answers(page)).to_contain_text("word1 word2 word3")
    house.stop()


async def test_a_script_that_does_not_arrive_is_asked_for_again(open_page: OpenPage) -> None:
    page = await open_page()
    refused: list[str] = []

    async def refuse(route: Route) -> None:
        refused.append(route.request.url)
        await route.abort()

    await page.route("**/static/scroll.js", refuse, times=2)
    await page.reload()
    await expect(box(page)).to_be_focused()
    assert len(refused) == 2
    await begin(page, "alive")
    await expect(answers(page)).to_contain_text("alive")


async def test_a_revoked_sign_in_leads_to_the_sign_in_page_and_keeps_the_draft(
    open_page: OpenPage, house: House
) -> None:
    page = await open_page(f"/#token={house.token}", signed_in=False)
    await page.wait_for_selector("#composer")
    await box(page).fill("half a thought")
    async with Api(house.url, house.token) as api:
        newest = (await api.call("GET", "/api/sessions"))["sessions"][0]
        await api.call("DELETE", f"/api/sessions/{newest['id']}", status=204)
    await page.wait_for_url(re.compile("/signin"))
    await page.get_by_label("Access token").fill(house.token)
    await page.get_by_role("button", name="Sign in").click()
    await expect(box(page)).to_have_value("half a thought")


@pytest.mark.parametrize("elsewhere", ["//evil.invalid", "/..//evil.invalid", "http://["])
async def test_signing_in_leads_to_no_other_site(
    open_page: OpenPage, house: House, elsewhere: str
) -> None:
    path = f"/signin?next={quote(elsewhere)}#token={house.token}"
    page = await open_page(path, signed_in=False)
    await expect(page.locator("a[href='/']").first).to_be_visible()
    assert urlsplit(page.url).hostname == "127.0.0.1"
    assert "/signin" not in page.url


async def test_the_chosen_colours_are_kept_and_need_no_second_paint(open_page: OpenPage) -> None:
    page = await open_page(color_scheme="light")
    for _ in range(2):
        await page.get_by_role("button", name="Change the colours").click()
    await page.reload(wait_until="commit")
    await page.wait_for_selector("#composer")
    assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert await page.evaluate("getComputedStyle(document.body).colorScheme") == "dark"


async def write_from_elsewhere(house: House, page: Page, text: str) -> None:
    """Send a message to the page's thread by the API."""
    async with Api(house.url, house.token) as api:
        await api.send(page.url.rsplit("/", 1)[1], text, agent_id="echo")


async def _place(element: Locator) -> float:
    """Where on the screen the element is."""
    found = await element.bounding_box()
    assert found
    return found["y"]
