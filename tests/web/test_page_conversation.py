"""An open thread: what each event changes on the page, and what a page that comes back is told."""

from __future__ import annotations

from typing import Any

import pytest
from page_samples import conversation, event, question, reply, thread, turn
from parley_contracts.events import (
    MessageAccepted,
    MessageChanged,
    MessageReady,
    TextDelta,
    ThreadChanged,
    TurnCancelled,
    TurnFailed,
    TurnStarted,
)
from parley_contracts.messages import TurnError
from parley_contracts.threads import Siblings
from parley_web.page.conversation import Missed
from parley_web.page.patches import Patch


def accepted(id: str, rev: int = 2) -> MessageAccepted:
    message = question(id)
    return MessageAccepted(**event(message.turn_id, 0, attempt=0), rev=rev, message=message)


def begun(id: str, position: int) -> TurnStarted:
    place = event(f"turn-{id}", 0)
    return TurnStarted(**place, agent_id="a1", message_id=id, position=position)


def ready(id: str, position: int, rev: int = 3, **fields: Any) -> MessageReady:
    message = reply(f"r-{id}", position, turn_id=f"turn-{id}", **fields)
    return MessageReady(**event(f"turn-{id}", 9), rev=rev, message=message)


def delta(id: str, number: int, text: str) -> TextDelta:
    return TextDelta(**event(f"turn-{id}", number), offset=0, text=text)


def places(patches: list[Patch]) -> list[tuple[str, ...]]:
    """The patches without their content."""
    return [patch[:2] for patch in patches]


def html(patches: list[Patch], place: str) -> str:
    """What is put into or instead of an element."""
    return "".join(patch[2] for patch in patches if patch[1] == place)


def test_a_turn_walks_from_the_queue_through_the_answer_into_the_thread() -> None:
    page = conversation()
    made = page.apply(accepted("q"))
    assert ("append", "queue") in places(made)
    assert "Stop" in html(made, "controls")
    made = page.apply(begun("q", 1))
    assert places(made)[:2] == [("append", "messages"), ("replace", "running")]
    assert 'data-position="1"' in html(made, "messages")
    assert ("announce", "Parley is answering.") in made
    assert page.apply(delta("q", 1, "Hello")) == []
    made = page.apply(ready("q", 2, text="Hello **you**"))
    assert "<strong>you</strong>" in html(made, "messages")
    assert "Stop" not in html(made, "controls")
    assert ("announce", "Parley has answered.") in made
    assert page.answer is None


def test_what_comes_while_an_agent_answers_is_shown_as_queued() -> None:
    page = conversation()
    page.apply(accepted("q"))
    page.apply(begun("q", 1))
    made = page.apply(accepted("later"))
    assert "Queued" in html(made, "queue")
    assert 'data-action="withdraw"' in html(made, "queue")


def test_a_queued_message_is_changed_and_taken_back() -> None:
    page = conversation(
        thread=thread(open_turn="turn-q", queued=1), queued=(question("q"), question("later"))
    )
    changed = question("later", text="better words")
    made = page.apply(MessageChanged(thread_id="t1", message=changed, rev=2))
    assert "better words" in html(made, "message-later")
    made = page.apply(MessageChanged(thread_id="t1", message=changed, removed=True, rev=3))
    assert ("remove", "message-later") in places(made)


def test_a_failure_shows_its_sentence_and_a_way_to_try_again() -> None:
    page = conversation()
    page.apply(accepted("q"))
    page.apply(begun("q", 1))
    error = TurnError(kind="unauthorized", detail="The key is wrong; check OPENAI_API_KEY.")
    message = reply("r", 2, turn_id="turn-q", status="failed", error=error, text="")
    made = page.apply(TurnFailed(**event("turn-q", 3), rev=3, error=error, message=message))
    assert "check OPENAI_API_KEY" in html(made, "messages")
    assert 'data-action="retry"' in html(made, "messages")


def test_a_turn_that_is_stopped_before_it_begins_settles_its_question_too() -> None:
    page = conversation()
    page.apply(accepted("q"))
    message = reply("r", 2, turn_id="turn-q", status="stopped", text="")
    made = page.apply(TurnCancelled(**event("turn-q", 0), rev=3, message=message))
    assert places(made)[:2] == [("append", "messages"), ("append", "messages")]
    assert "Stopped before the first word." in made[1][2]


def test_a_cancelled_turn_without_a_message_takes_its_question_away() -> None:
    page = conversation(
        thread=thread(open_turn="turn-q", queued=1), queued=(question("q"), question("later"))
    )
    made = page.apply(TurnCancelled(**event("turn-later", 0), rev=2))
    assert ("remove", "message-later") in places(made)
    assert page.thread.open_turn == "turn-q"


def test_a_retried_question_is_not_shown_again() -> None:
    failed = reply("r", 2, turn_id="turn-old", status="failed", text="")
    page = conversation(messages=(question("q", 1), failed))
    started = TurnStarted(**event("turn-new", 0), agent_id="a1", message_id="q", position=1)
    assert ("append", "messages") not in places(page.apply(started))


def test_rule_21_what_follows_the_end_of_a_turn_is_dropped() -> None:
    page = conversation()
    page.apply(accepted("q"))
    page.apply(begun("q", 1))
    page.apply(ready("q", 2))
    assert page.apply(delta("q", 8, "late")) == []
    assert page.apply(begun("q", 1)) == []


def test_rule_23_changes_that_the_snapshot_shows_already_are_dropped() -> None:
    page = conversation(
        thread=thread(rev=5, title="Now"), messages=(question("q", 1), reply("r", 2))
    )
    old = ThreadChanged(thread_id="t1", rev=5, thread=thread(rev=5, title="Before"))
    assert page.apply(old) == []
    assert page.apply(accepted("q", rev=4)) == []
    assert page.thread.title == "Now"


def test_rule_23_events_of_turns_that_ended_before_the_snapshot_are_dropped() -> None:
    ended = reply("r", 2, turn_id="turn-q")
    page = conversation(thread=thread(rev=5), messages=(question("q", 1), ended))
    assert page.apply(begun("q", 1)) == []
    assert page.apply(delta("q", 1, "Hel")) == []


def test_rule_23_a_running_turn_of_the_snapshot_is_folded_and_followed() -> None:
    page = conversation(
        thread=thread(open_turn="turn-q"), messages=(question("q", 1),), turn=turn("turn-q")
    )
    page.recall(begun("q", 1))
    page.recall(delta("q", 1, "Hel"))
    assert "Hel" in html(page.since(known=1), "running")
    page.apply(delta("q", 1, "Hel"))
    page.apply(delta("q", 2, "lo"))
    assert page.answer
    assert "<p>Hello</p>" in page.answer.html()


def test_a_turn_that_began_unseen_asks_for_a_new_snapshot() -> None:
    page = conversation()
    with pytest.raises(Missed):
        page.apply(begun("unknown", 7))
    with pytest.raises(Missed):
        page.apply(delta("unknown", 3, "words"))


def test_a_page_that_comes_back_gets_only_what_it_misses() -> None:
    shown = (question("q1", 1), reply("r1", 2), question("q2", 3), reply("r2", 4))
    made = conversation(messages=shown).since(known=2)
    appended = [patch[2] for patch in made if patch[:2] == ("append", "messages")]
    assert len(appended) == 2
    assert "text of q2" in appended[0]
    assert ("replace", "messages") not in places(made)


def test_a_page_that_missed_more_than_a_page_gets_the_newest_page_whole() -> None:
    shown = (question("q9", 99), reply("r9", 100))
    made = conversation(messages=shown, before=99).since(known=2)
    assert 'data-before="99"' in html(made, "messages")


def test_a_paused_queue_asks_whether_to_go_on() -> None:
    page = conversation(thread=thread(paused=True, queued=1), queued=(question("later"),))
    assert "One message waits" in html(page.since(known=0), "paused")
    resumed = ThreadChanged(thread_id="t1", rev=2, thread=thread(rev=2, queued=1))
    assert "waits" not in html(page.apply(resumed), "paused")


def test_a_new_title_is_shown_and_named() -> None:
    page = conversation()
    made = page.apply(
        ThreadChanged(thread_id="t1", rev=2, thread=thread(rev=2, title="<b>New</b>"))
    )
    assert "&lt;b&gt;New&lt;/b&gt;" in html(made, "thread-heading")
    assert ("title", "<b>New</b>") in made


def test_versions_of_a_message_lead_to_their_neighbours() -> None:
    page = conversation(
        messages=(question("q", 1), reply("r", 2)),
        siblings=(Siblings(position=0, threads=("t0", "t1", "t2")),),
    )
    asked, answered = page.articles()
    assert "2 of 3" in asked
    assert 'href="/t/t0"' in asked
    assert 'href="/t/t2"' in asked
    assert "of 3" not in answered


def test_versions_of_an_answer_are_shown_at_the_answer() -> None:
    page = conversation(
        messages=(question("q", 1), reply("r", 2)),
        siblings=(Siblings(position=0, threads=("t1", "t2"), answers=True),),
    )
    asked, answered = page.articles()
    assert "of 2" not in asked
    assert "1 of 2" in answered


def test_the_agent_asked_last_is_asked_next() -> None:
    page = conversation(messages=(question("q", 1, agent_id="a2"), reply("r", 2)))
    assert page.addressee == "a2"
    assert conversation().addressee == "a1"
