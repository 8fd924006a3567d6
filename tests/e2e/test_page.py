"""The page as people use it: Chromium on a whole, running Parley."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from api_client import Api
from browsing import (
    SLOW,
    THREAD,
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
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_printed_link_signs_in_and_leaves_no_token_behind(
    open_page: OpenPage, house: House
) -> None:
    page = await open_page(f"/#token={house.token}", signed_in=False)
    await expect(box(page)).to_be_visible()
    assert house.token not in page.url
    await page.go_back()
    assert house.token not in page.url


async def test_whoever_is_not_signed_in_comes_back_to_where_they_wanted(
    open_page: OpenPage, house: House
) -> None:
    async with Api(house.url, house.token) as api:
        thread = await api.new_thread()
    page = await open_page(f"/t/{thread}", signed_in=False)
    await page.get_by_label("Access token").fill("not the token")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("not the access token")
    await page.get_by_label("Access token").fill(house.token)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(f"**/t/{thread}")


async def test_a_message_is_answered_and_its_thread_is_listed(open_page: OpenPage) -> None:
    page = await open_page()
    text = unique()
    await begin(page, text)
    await expect(answers(page)).to_have_count(1)
    await expect(answers(page)).to_contain_text(text)
    await expect(questions(page).locator(".bubble")).to_have_text(text)
    await expect(page.locator("#threads li").first).to_contain_text(text)
    await expect(page).to_have_title(f"{text} · Parley")
    await expect(box(page)).to_have_value("")


async def test_text_is_shown_as_it_was_written(open_page: OpenPage) -> None:
    page = await open_page()
    text = "  <b>not bold</b>  👩‍👩‍👧 שלום\n\n\tlast  line"
    await begin(page, text)
    assert await questions(page).locator(".bubble").text_content() == text


async def test_an_answer_streams_and_a_reload_in_its_middle_loses_nothing(
    open_page: OpenPage,
) -> None:
    page = await open_page()
    await begin(page, SLOW)
    await expect(running(page)).to_contain_text("word2")
    await page.reload()
    await expect(running(page)).to_contain_text("word1 word2 word3 word4")
    await stop(page)
    await expect(answers(page)).to_contain_text("word1 word2 word3 word4")
    await expect(running(page)).to_have_count(0)


async def test_stop_is_felt_at_once_and_keeps_what_was_said(open_page: OpenPage) -> None:
    page = await open_page()
    await begin(page, SLOW)
    await expect(running(page)).to_contain_text("word1")
    await stop(page)
    await expect(answers(page)).to_contain_text("word1")
    await expect(answers(page).locator(".badge")).to_have_text("Stopped")
    await expect(page.locator(".stop")).to_have_count(0)


async def test_what_is_written_meanwhile_waits_and_can_be_changed_or_removed(
    open_page: OpenPage,
) -> None:
    page = await open_page()
    await begin(page, SLOW)
    await expect(running(page)).to_be_visible()
    for text in ("to be changed", "to be removed"):
        await write(page, text)
    queued = page.locator("#queue .queued")
    await expect(queued).to_have_count(2)
    await queued.nth(1).get_by_role("button", name="Remove").click()
    await expect(queued).to_have_count(1)
    await queued.get_by_role("button", name="Edit").click()
    await queued.get_by_label("Text").fill("was changed")
    await queued.get_by_role("button", name=re.compile("^(Save|Ask again)$")).click()
    await expect(queued.locator(".bubble")).to_have_text("was changed")
    await queued.get_by_role("button", name="Send now").click()
    await expect(questions(page).nth(1).locator(".bubble")).to_have_text("was changed")
    await expect(answers(page)).to_have_count(2)
    await expect(answers(page).nth(0).locator(".badge")).to_have_text("Stopped")
    await expect(answers(page).nth(1)).to_contain_text("was changed")


async def test_a_queue_that_stop_paused_goes_on_when_told(open_page: OpenPage) -> None:
    page = await open_page()
    await begin(page, SLOW)
    await expect(running(page)).to_be_visible()
    await write(page, "afterwards")
    await expect(page.locator("#queue .queued")).to_have_count(1)
    await stop(page)
    await expect(page.locator("#paused")).to_contain_text("One message waits")
    await page.get_by_role("button", name="Go on").click()
    await expect(answers(page).nth(1)).to_contain_text("afterwards")


async def test_a_thread_is_forked_at_any_message(open_page: OpenPage) -> None:
    page = await open_page()
    await begin(page, "first question")
    await expect(answers(page)).to_have_count(1)
    await write(page, "second question")
    await expect(answers(page)).to_have_count(2)
    origin = page.url
    await answers(page).nth(0).hover()
    await answers(page).nth(0).get_by_role("button", name="Fork from here").click()
    await page.wait_for_url(lambda url: url != origin)
    await expect(answers(page)).to_have_count(1)
    await expect(questions(page)).to_have_count(1)
    await write(page, "another second question")
    await expect(answers(page)).to_have_count(2)
    await page.goto(origin)
    await expect(questions(page).nth(1).locator(".bubble")).to_have_text("second question")


async def test_a_double_click_forks_once(open_page: OpenPage, house: House) -> None:
    page = await open_page()
    text = unique()
    await begin(page, text)
    await expect(answers(page)).to_have_count(1)
    origin = page.url
    await answers(page).get_by_role("button", name="Fork from here").dblclick()
    await page.wait_for_url(lambda url: url != origin)
    await expect(answers(page)).to_contain_text(text)
    async with Api(house.url, house.token) as api:
        listed = (await api.call("GET", f"/api/threads?q={text.split()[-1]}"))["threads"]
    assert sum("parent" in each for each in listed) == 1


async def test_editing_and_answering_again_make_versions_to_walk_through(
    open_page: OpenPage,
) -> None:
    page = await open_page()
    await begin(page, "asked badly")
    await expect(answers(page)).to_have_count(1)
    origin = page.url
    await questions(page).hover()
    await questions(page).get_by_role("button", name="Edit").click()
    await questions(page).get_by_label("Text").fill("asked well")
    await questions(page).get_by_role("button", name=re.compile("^(Save|Ask again)$")).click()
    await page.wait_for_url(lambda url: url != origin)
    await expect(answers(page)).to_contain_text("asked well")
    edited = page.url
    await answers(page).get_by_role("button", name="Answer again").click()
    await page.wait_for_url(lambda url: url not in (origin, edited))
    await expect(answers(page)).to_contain_text("asked well")
    await expect(page.locator(".versions")).to_contain_text("3 of 3")
    await page.get_by_role("link", name="Previous version").click()
    await expect(page.locator(".versions")).to_contain_text("2 of 3")
    await page.get_by_role("link", name="Previous version").click()
    await page.wait_for_url(origin)
    await expect(questions(page).locator(".bubble")).to_have_text("asked badly")


async def test_a_thread_is_renamed_here_and_on_every_other_page(open_page: OpenPage) -> None:
    page, other = await open_page(), await open_page()
    await begin(page, unique("to be renamed"))
    title = unique("A better name")
    await choose(page, "Rename")
    await page.get_by_label("Title").fill(title)
    await page.get_by_role("button", name="Rename", exact=True).last.click()
    await expect(page.locator("h1")).to_have_text(title)
    await expect(page).to_have_title(f"{title} · Parley")
    await expect(other.locator("#threads")).to_contain_text(title)


async def test_a_thread_is_archived_and_comes_back(open_page: OpenPage) -> None:
    page = await open_page()
    text = unique("for the archive")
    await begin(page, text)
    await expect(answers(page)).to_have_count(1)
    await choose(page, "Archive")
    await expect(page.locator("#threads")).not_to_contain_text(text)
    await page.get_by_role("button", name="Archived").click()
    await expect(page.locator("#found")).to_contain_text(text)
    await choose(page, "Back to the threads")
    await page.get_by_role("button", name="Archived").click()
    await expect(page.locator("#threads")).to_contain_text(text)


async def test_a_deleted_thread_can_be_brought_back(open_page: OpenPage) -> None:
    page = await open_page()
    text = unique("deleted by mistake")
    await begin(page, text)
    await expect(answers(page)).to_have_count(1)
    address = page.url
    await choose(page, "Delete")
    await expect(page.locator(".toast")).to_contain_text(text)
    await expect(page.locator("#threads")).not_to_contain_text(text)
    await page.get_by_role("button", name="Undo").click()
    await page.wait_for_url(address)
    await expect(answers(page)).to_have_count(1)
    await expect(page.locator("#threads")).to_contain_text(text)


async def test_the_address_of_a_deleted_thread_offers_to_restore_it(
    open_page: OpenPage, house: House
) -> None:
    async with Api(house.url, house.token) as api:
        thread = await api.new_thread()
        await api.call("DELETE", f"/api/threads/{thread}")
    page = await open_page(f"/t/{thread}")
    await page.get_by_role("button", name="Restore it").click()
    await expect(box(page)).to_be_visible()


async def test_an_unknown_thread_is_told_of_in_a_sentence(open_page: OpenPage) -> None:
    page = await open_page("/t/nowhere")
    await expect(page.locator("main")).to_contain_text("nowhere")
    await page.get_by_role("link", name="To the threads").click()
    await expect(box(page)).to_be_visible()


async def test_search_finds_words_of_messages(open_page: OpenPage) -> None:
    page = await open_page()
    word = uuid4().hex[:14]
    await begin(page, f"Something about {word} and more")
    await expect(answers(page)).to_have_count(1)
    await page.goto("/")

    # A message is indexed after it is accepted; the page asks anew for each word that is typed.
    async def found() -> bool:
        async with page.expect_response(re.compile("/page/threads")):
            await page.get_by_label("Search threads").fill("")
            await page.get_by_label("Search threads").fill(word)
        await expect(page.locator("#found li")).to_have_count(1)
        return await page.locator("#found a").count() == 1

    await eventually(found)
    await expect(page.locator("#found a")).to_contain_text(word)
    await page.locator("#found a").click()
    await page.wait_for_url(THREAD)
    await expect(questions(page)).to_contain_text(word)


async def test_a_tool_shows_its_work_and_stays_open_when_the_answer_is_done(
    open_page: OpenPage,
) -> None:
    page = await open_page()
    await begin(page, f'[[tool calculator {{"expression": "6*7"}}]] {SLOW}')
    tool = page.locator("details.tool")
    await expect(tool).not_to_have_attribute("open", "")
    await tool.locator("summary").click()
    await expect(tool).to_contain_text("6*7")
    await expect(running(page)).to_contain_text("42")
    await stop(page)
    await expect(answers(page)).to_contain_text("42")
    await expect(tool).to_have_attribute("open", "")
    await expect(tool.locator(".outcome")).to_contain_text("done")


async def test_reasoning_is_folded_away(open_page: OpenPage) -> None:
    page = await open_page()
    await begin(page, "[[think Hmm, a riddle.]] The answer")
    await expect(answers(page)).to_contain_text("The answer")
    thought = answers(page).locator("details.reasoning").first
    await expect(thought.locator(".thoughts")).to_be_hidden()
    await thought.locator("summary").click()
    await expect(thought.locator(".thoughts")).to_contain_text("Hmm, a riddle.")


async def test_a_failure_says_why_and_can_be_tried_again(open_page: OpenPage) -> None:
    page = await open_page()
    await begin(page, "[[fail unauthorized]]")
    failure = answers(page).locator(".failure")
    await expect(failure).to_have_count(1)
    assert (await failure.locator("p").inner_text()).strip()
    await failure.get_by_role("button", name="Try again").click()
    await expect(answers(page)).to_have_count(2)
    await expect(questions(page)).to_have_count(1)


async def test_each_message_may_go_to_another_agent(open_page: OpenPage) -> None:
    page = await open_page()
    await begin(page, "to the first", agent="Echo")
    await expect(answers(page).nth(0).locator("h2")).to_have_text("Echo")
    await page.select_option("#agent", label="Parley")
    await write(page, "to the second")
    await expect(answers(page).nth(1).locator("h2")).to_have_text("Parley")
    await page.reload()
    chosen = await page.locator("#agent option:checked").inner_text()
    assert chosen == "Parley"


async def test_hostile_text_stays_text(open_page: OpenPage) -> None:
    page = await open_page()
    await begin(
        page,
        "<img src=x onerror=alert(1)> <script>alert(2)</script> [x](javascript:alert(3)) "
        "![p](https://example.com/pixel.png)",
    )
    await expect(answers(page)).to_contain_text("<script>alert(2)</script>")
    assert await page.locator("#conversation :is(script, img, iframe)").count() == 0
    assert await page.locator('#conversation a[href^="javascript"]').count() == 0
    await expect(answers(page).locator("a.image")).to_have_text("p")


async def test_a_second_page_shows_the_same_answer_as_it_is_written(open_page: OpenPage) -> None:
    page = await open_page()
    await begin(page, "begin")
    await expect(answers(page)).to_have_count(1)
    other = await open_page(page.url)
    await write(page, SLOW)
    await expect(questions(other)).to_have_count(2)
    await expect(running(other)).to_contain_text("word1 word2")
    await stop(page)
    await expect(answers(other)).to_have_count(2)
    await expect(other.locator("#announcer")).to_have_text("Stopped.")


async def test_a_draft_survives_a_reload_and_an_outage(open_page: OpenPage) -> None:
    page = await open_page()
    await begin(page, "begin")
    await expect(answers(page)).to_have_count(1)
    text = unique("a long thought")
    await page.fill("#text", text)
    await page.reload()
    await expect(box(page)).to_have_value(text)
    await page.context.set_offline(True)
    await page.press("#text", "Enter")
    await expect(page.locator("#refusal")).to_contain_text("cannot be reached")
    await expect(box(page)).to_have_value(text)
    await page.context.set_offline(False)
    await page.press("#text", "Enter")
    await expect(answers(page).nth(1)).to_contain_text(text)
    await expect(questions(page)).to_have_count(2)


async def test_too_long_a_message_is_refused_before_it_is_sent(open_page: OpenPage) -> None:
    page = await open_page()
    await page.fill("#text", "x" * 100_001)
    await expect(page.locator("#length")).to_contain_text("1 too many")
    await page.press("#text", "Enter")
    await expect(page.locator("#refusal")).to_contain_text("at most")
    assert not THREAD.search(page.url)


async def test_shift_enter_breaks_the_line_and_an_input_method_sends_nothing(
    open_page: OpenPage,
) -> None:
    page = await open_page()
    await box(page).type("one")
    await page.keyboard.press("Shift+Enter")
    await box(page).type("two")
    await page.evaluate(
        "document.getElementById('text').dispatchEvent(new KeyboardEvent('keydown',"
        "{key: 'Enter', isComposing: true, bubbles: true, cancelable: true}))"
    )
    await expect(box(page)).to_have_value("one\ntwo")
    assert not THREAD.search(page.url)
