"""What people write and where they are is kept, whatever becomes of connection or thread."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from uuid import uuid4

import pytest
from api_client import Api
from browsing import (
    SLOW,
    OpenPage,
    answers,
    begin,
    box,
    choose,
    questions,
    running,
    stop,
    unique,
    write,
)
from eventually import eventually
from house import House
from playwright.async_api import Page, Route, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def open_queued_editor(page: Page, text: str) -> None:
    """Let a message wait behind a long answer, and begin to edit it."""
    await begin(page, SLOW)
    await expect(running(page)).to_be_visible()
    await write(page, "as it was")
    queued = page.locator("#queue .queued")
    await queued.get_by_role("button", name="Edit").click()
    await queued.get_by_label("Text").fill(text)


async def test_an_edit_outlives_the_sending_of_its_message_and_becomes_another_version(
    open_page: OpenPage,
) -> None:
    page = await open_page()
    text = unique("as it should be")
    await open_queued_editor(page, text)
    other = await open_page(page.url)
    await other.get_by_role("button", name="Send now").click()
    await expect(answers(page)).to_have_count(2)
    editor = questions(page).nth(1).locator(".editor")
    await expect(editor.locator(".overtaken")).to_be_visible()
    await expect(editor.get_by_label("Text")).to_have_value(text)
    await page.reload()
    await expect(editor.get_by_label("Text")).to_have_value(text)
    origin = page.url
    await editor.get_by_role("button", name="Ask again").click()
    await page.wait_for_url(lambda url: url != origin)
    await expect(answers(page).last).to_contain_text(text)


async def test_an_edit_of_a_message_that_is_taken_back_elsewhere_goes_into_the_box(
    open_page: OpenPage,
) -> None:
    page = await open_page()
    text = unique("not lost")
    await open_queued_editor(page, text)
    other = await open_page(page.url)
    await other.get_by_role("button", name="Remove").click()
    await expect(box(page)).to_have_value(text)
    await stop(page)


async def test_a_name_that_is_refused_stays_in_its_dialog(open_page: OpenPage) -> None:
    page = await open_page()
    await begin(page, unique())
    await choose(page, "Rename")
    dialog = page.locator("#rename-dialog")
    title = unique("A good name")
    await dialog.get_by_label("Title").fill(title)
    await page.context.set_offline(True)
    await dialog.get_by_role("button", name="Rename").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("cannot be reached")
    await expect(dialog.get_by_label("Title")).to_have_value(title)
    await page.context.set_offline(False)
    await dialog.get_by_role("button", name="Rename").click()
    await expect(dialog).to_be_hidden()
    await expect(page.locator("h1")).to_have_text(title)


async def test_a_silent_service_is_noticed_and_what_was_written_goes_out_when_it_is_back(
    open_page: OpenPage, make_house: Callable[..., House]
) -> None:
    house = make_house().start()
    page = await open_page(f"{house.url}/#token={house.token}", signed_in=False)
    await begin(page, "begin")
    await expect(answers(page)).to_have_count(1)
    web = house.pid("web")
    os.kill(web, signal.SIGSTOP)
    await expect(page.locator("#offline")).to_be_visible()
    await write(page, "to whom it may concern")
    os.kill(web, signal.SIGCONT)
    await expect(answers(page)).to_have_count(2)
    await expect(page.locator("#offline")).to_be_hidden()
    await expect(questions(page)).to_have_count(2)
    await expect(box(page)).to_have_value("")
    house.stop()


async def test_a_message_whose_acceptance_was_not_heard_of_is_not_called_refused(
    open_page: OpenPage,
) -> None:
    page = await open_page()
    await begin(page, "begin")
    await expect(answers(page)).to_have_count(1)

    async def lose_the_reply(route: Route) -> None:
        await route.fetch()
        await route.abort()

    await page.route("**/api/threads/*/messages", lose_the_reply, times=1)
    await write(page, unique("heard"))
    await expect(answers(page)).to_have_count(2)
    await expect(box(page)).to_have_value("")
    await expect(page.locator("#refusal")).to_be_hidden()
    await expect(questions(page)).to_have_count(2)


async def test_only_the_newest_turn_can_be_tried_again(open_page: OpenPage) -> None:
    page = await open_page()
    await begin(page, "[[fail unauthorized]]")
    again = page.get_by_role("button", name="Try again")
    await again.click()
    await expect(answers(page)).to_have_count(2)
    await expect(again).to_have_count(1)
    await write(page, "something else")
    await expect(answers(page)).to_have_count(3)
    await expect(again).to_have_count(0)


async def test_the_version_used_last_stands_in_the_list_and_every_version_is_marked(
    open_page: OpenPage,
) -> None:
    page = await open_page()
    await begin(page, unique("first words"))
    await expect(answers(page)).to_have_count(1)
    origin = page.url
    await questions(page).hover()
    await questions(page).get_by_role("button", name="Edit").click()
    await questions(page).get_by_label("Text").fill("other words")
    await page.get_by_role("button", name="Ask again").click()
    await page.wait_for_url(lambda url: url != origin)
    await expect(answers(page)).to_contain_text("other words")
    edited = page.url.split("/")[-1]
    await page.goto(origin)
    current = page.locator('#threads a[aria-current="page"]')
    await expect(current).to_have_attribute("href", f"/t/{edited}")
    await choose(page, "Delete")
    await expect(page.locator(f'#threads a[href="/t/{edited}"]')).to_have_count(1)


async def test_a_search_opens_the_thread_at_its_hit_and_is_still_there(
    open_page: OpenPage, house: House
) -> None:
    word = f"w{uuid4().hex[:12]}"
    async with Api(house.url, house.token) as api:
        texts = [word if number == 20 else f"number {number}." for number in range(300)]
        messages = [{"role": "user", "text": text} for text in texts]
        body = {"title": unique("long"), "messages": messages}
        await api.call("POST", "/api/threads/import", body, status=201)

        async def indexed() -> bool:
            return bool((await api.call("GET", f"/api/threads?q={word}"))["threads"])

        await eventually(indexed)
    page = await open_page()
    await page.get_by_label("Search threads").fill(word)
    await expect(page.locator("#found mark")).to_have_text(word)
    await page.get_by_label("Search threads").press("Enter")
    await expect(page.locator(".named")).to_contain_text(word)
    await expect(page.locator(".named")).to_be_in_viewport()
    await expect(page.get_by_label("Search threads")).to_have_value(word)
    while await page.locator("#gap").count():
        await page.evaluate("document.querySelector('#gap')?.scrollIntoView()")
        await expect(page.locator("#gap:disabled")).to_have_count(0)
    positions: list[int] = await page.eval_on_selector_all(
        "#messages > article", "all => all.map((each) => Number(each.dataset.position))"
    )
    assert positions == list(range(positions[0], 301))


async def test_what_is_looked_at_in_the_list_survives_a_hidden_tab(
    open_page: OpenPage, house: House
) -> None:
    async with Api(house.url, house.token) as api:
        for _ in range(55):
            await api.new_thread(title=unique("many"))
    page = await open_page()
    await page.get_by_role("button", name="Show more").click()
    entries = page.locator("#threads li[id]")
    await expect(entries.nth(52)).to_be_attached()
    count = await entries.count()
    async with page.expect_response(re.compile("/page/stream")):
        await page.evaluate(
            "dispatchEvent(new Event('pagehide')); dispatchEvent(new Event('pageshow'))"
        )
    async with Api(house.url, house.token) as api:
        newest = await api.new_thread(title=unique("newest"))
    await expect(page.locator(f"#thread-{newest}")).to_have_count(1)
    assert await entries.count() == count + 1


async def test_the_chosen_agent_is_part_of_the_draft(open_page: OpenPage) -> None:
    page = await open_page()
    await page.select_option("#agent", label="Echo")
    await page.fill("#text", "for Echo")
    await page.reload()
    await expect(box(page)).to_have_value("for Echo")
    assert await page.locator("#agent option:checked").inner_text() == "Echo"


async def test_two_tabs_keep_a_draft_each(open_page: OpenPage) -> None:
    page = await open_page()
    other = await page.context.new_page()
    await other.goto("/")
    await page.fill("#text", "the first")
    await other.fill("#text", "the second")
    await page.reload()
    await other.reload()
    await expect(box(page)).to_have_value("the first")
    await expect(box(other)).to_have_value("the second")


async def test_the_focus_returns_after_escape_and_stop(open_page: OpenPage) -> None:
    page = await open_page()
    await begin(page, SLOW)
    await expect(running(page)).to_be_visible()
    await questions(page).get_by_role("button", name="Edit").click()
    await page.keyboard.press("Escape")
    await expect(questions(page).get_by_role("button", name="Edit")).to_be_focused()
    await stop(page)
    await expect(answers(page)).to_have_count(1)
    await expect(box(page)).to_be_focused()


async def test_enter_on_a_screen_keyboard_begins_a_line(open_page: OpenPage) -> None:
    page = await open_page(viewport={"width": 390, "height": 780}, has_touch=True, is_mobile=True)
    await box(page).press_sequentially("one")
    await box(page).press("Enter")
    await box(page).press_sequentially("two")
    await expect(box(page)).to_have_value("one\ntwo")


async def test_a_thread_that_was_answered_meanwhile_is_marked_until_it_is_opened(
    open_page: OpenPage, house: House
) -> None:
    page = await open_page()
    async with Api(house.url, house.token) as api:
        thread = await api.new_thread(title=unique("elsewhere"))
        turn = (await api.send(thread, SLOW))["turn"]["id"]
        entry = page.locator(f"#thread-{thread}")
        await expect(entry).to_have_class("running")
        await api.call("POST", f"/api/turns/{turn}/cancel")
        await api.ask(thread, "and now in a word")
        await expect(entry).to_have_class("unread")
    await entry.locator("a").click()
    await expect(answers(page)).to_have_count(2)
    await expect(entry).not_to_have_class("unread")
