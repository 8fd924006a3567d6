"""A running answer shows what its events tell, and tells the page no more than what changed."""

from __future__ import annotations

from parley_contracts.events import (
    ApprovalRequested,
    ModelLoading,
    ReasoningDelta,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnRestarted,
    TurnStarted,
)
from parley_web.page.answer import Answer, Progress
from parley_web.page.calls import ToolCall
from parley_web.page.people import Person

ME = Person("a1", "Parley", "parley")


def place(number: int, attempt: int = 1) -> dict[str, object]:
    return {"thread_id": "t1", "turn_id": "u1", "attempt": attempt, "number": number}


def started() -> Answer:
    answer = Answer("u1", ME)
    answer.apply(
        TurnStarted.model_validate({**place(0), "agent_id": "a1", "message_id": "q", "position": 1})
    )
    return answer


def text(number: int, words: str, attempt: int = 1) -> TextDelta:
    return TextDelta.model_validate({**place(number, attempt), "offset": 0, "text": words})


def thought(number: int, words: str, offset: int = 0, attempt: int = 1) -> ReasoningDelta:
    return ReasoningDelta.model_validate(
        {**place(number, attempt), "offset": offset, "text": words}
    )


def tool(number: int, call: str = "c1") -> ToolStarted:
    call_of = {"step": 1, "call_id": call, "name": "calculator", "arguments": '{"x": 1}'}
    return ToolStarted.model_validate({**place(number), **call_of})


def finished(number: int, call: str = "c1") -> ToolFinished:
    ended = {"step": 1, "call_id": call, "name": "calculator", "output": "42"}
    return ToolFinished.model_validate(
        {**place(number), **ended, "status": "ok", "duration_ms": 12}
    )


def restarted(words: str = "") -> TurnRestarted:
    again = {"agent_id": "a1", "message_id": "q", "position": 1, "text": words}
    return TurnRestarted.model_validate({**place(0, attempt=2), **again})


def test_text_appears_first_as_an_element_and_then_as_its_tail() -> None:
    answer = started()
    answer.html()
    answer.apply(text(1, "Hello"))
    [(name, parent, html)] = answer.changes()
    assert (name, parent) == ("append", "body-u1")
    assert "<p>Hello</p>" in html
    answer.apply(text(2, " there"))
    [(name, tail, html)] = answer.changes()
    assert (name, tail) == ("replace", "tail-u1-0")
    assert "<p>Hello there</p>" in html


def test_nothing_is_told_twice() -> None:
    answer = started()
    answer.html()
    answer.apply(text(1, "Hello"))
    answer.apply(tool(2))
    assert answer.changes()
    assert answer.changes() == []


def test_a_closed_block_is_put_before_the_tail_once() -> None:
    answer = started()
    answer.apply(text(1, "One\n\nTwo\n"))
    answer.html()
    answer.apply(text(2, "\nThree\n"))
    first, second = answer.changes()
    assert first[0] == "before"
    assert first[2] == "<p>Two</p>\n"
    assert "One" not in second[2]


def test_an_open_code_block_grows_by_its_text_alone() -> None:
    answer = started()
    answer.apply(text(1, "```py\nx = 1\n"))
    answer.html()
    answer.apply(text(2, "y = '<b>'\n"))
    assert answer.changes() == [("extend", "code-u1-0", "y = '<b>'\n")]


def test_reasoning_grows_by_its_text_and_settles_when_words_follow() -> None:
    answer = started()
    answer.apply(thought(1, "Let me"))
    assert "Thinking" in answer.html()
    answer.apply(thought(2, " see", 6))
    assert answer.changes() == [("extend", "thoughts-u1-0", " see")]
    answer.apply(text(3, "Yes."))
    settled, new = answer.changes()
    assert settled[:2] == ("replace", "reasoning-u1-0")
    assert "Thought" in settled[2]
    assert "Let me see" in settled[2]
    assert new[:2] == ("append", "body-u1")


def test_a_tool_shows_its_arguments_then_its_result() -> None:
    answer = started()
    answer.html()
    answer.apply(tool(1))
    [begun] = answer.changes()
    assert "calculator" in begun[2]
    assert "runs" in begun[2]
    answer.apply(finished(2))
    [(name, element, html)] = answer.changes()
    assert (name, element) == ("replace", "tool-u1-c1")
    assert "done · 12 ms" in html
    assert "42" in html


def test_parallel_tools_keep_their_own_elements() -> None:
    answer = started()
    answer.apply(tool(1, "c1"))
    answer.apply(tool(2, "c2"))
    answer.html()
    answer.apply(finished(3, "c2"))
    assert [patch[1] for patch in answer.changes()] == ["tool-u1-c2"]


def test_a_tool_that_waits_asks_for_the_owners_decision() -> None:
    answer = started()
    answer.apply(
        ApprovalRequested.model_validate(
            {**place(1), "step": 1, "call_id": "c1", "name": "shell", "arguments": "{}"}
        )
    )
    html = answer.html()
    assert 'data-action="allow"' in html
    assert 'data-step="c1"' in html


def test_a_loading_model_is_said_until_words_come() -> None:
    answer = started()
    answer.html()
    answer.apply(ModelLoading.model_validate({**place(1), "detail": "loading 40 %"}))
    [(_, element, html)] = answer.changes()
    assert element == "working-u1"
    assert "loading 40 %" in html
    answer.apply(text(2, "Hi"))
    assert "loading" not in "".join(part for patch in answer.changes() for part in patch)


def test_rule_21_events_that_were_taken_before_change_nothing() -> None:
    answer = started()
    answer.apply(text(1, "once "))
    answer.apply(text(2, "more"))
    answer.apply(text(1, "once "))
    answer.apply(text(2, "more"))
    assert "<p>once more</p>" in answer.html()


def test_rule_21_a_restart_drops_the_text_and_the_attempt_before_it() -> None:
    answer = started()
    answer.apply(text(5, "lost words"))
    answer.html()
    answer.apply(restarted("kept words"))
    [(name, element, html)] = answer.changes()
    assert (name, element) == ("replace", "turn-u1")
    assert "kept words" in html
    assert "lost words" not in html
    answer.apply(text(6, "from the dead", attempt=1))
    assert answer.changes() == []


def test_after_a_decision_all_that_was_done_is_there() -> None:
    answer = started()
    for event in (thought(1, "Let me look."), text(2, "Looking."), tool(3), finished(4)):
        answer.apply(event)
    answer.apply(tool(5, "c2"))
    answer.html()
    answer.apply(restarted("Looking."))
    [(name, element, html)] = answer.changes()
    assert (name, element) == ("replace", "turn-u1")
    assert html.index("Let me look.") < html.index("<p>Looking.</p>") < html.index("tool-u1-c1")
    assert "tool-u1-c2" not in html


def test_what_was_said_between_tools_stays_in_its_place_at_a_restart() -> None:
    answer = started()
    for event in (text(1, "One."), tool(2), finished(3), text(4, "Two. Lost.")):
        answer.apply(event)
    answer.apply(restarted("One.Two."))
    html = answer.html()
    assert html.index("One.") < html.index("tool-u1-c1") < html.index("Two.")
    assert "Lost" not in html


def test_reasoning_that_was_not_recorded_gives_way_to_what_is_thought_again() -> None:
    answer = started()
    for event in (thought(1, "recorded"), tool(2), finished(3), thought(4, " and lost", 8)):
        answer.apply(event)
    answer.apply(restarted())
    answer.html()
    answer.apply(thought(1, " and new", 8, attempt=2))
    [(name, element, html)] = answer.changes()
    assert (name, element) == ("replace", "turn-u1")
    assert "recorded" in html
    assert "and new" in html
    assert "lost" not in html


def test_rule_23_an_answer_folded_later_shows_the_same_as_one_followed_live() -> None:
    events: list[Progress] = [
        thought(1, "hm"),
        text(2, "Look:\n\n"),
        tool(3),
        finished(4),
        text(5, "**42**"),
    ]
    followed, folded = started(), started()
    followed.html()
    for each in events:
        followed.apply(each)
        followed.changes()
        folded.apply(each)
    assert followed.html().count("42") == folded.html().count("42")
    assert "<strong>42</strong>" in folded.html()


def test_a_tool_call_is_indented_for_reading_unless_that_would_fill_the_page() -> None:
    assert ToolCall("t", "c", arguments='{"a": [1]}').pretty_arguments.count("\n") == 4
    nested = "[" * 150 + "1," * 1_000 + "1" + "]" * 150
    assert ToolCall("t", "c", output=nested).pretty_output == nested
