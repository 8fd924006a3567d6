"""Prompts: the history as an agent sees it, as servers accept it, growing at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from parley_agent_worker.prompt import answer_messages, history_messages, system_messages
from parley_agent_worker.skills import Skill
from parley_contracts.agents import Agent
from parley_contracts.base import now
from parley_contracts.messages import (
    HistoryMessage,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolPart,
    ToolStatus,
)

MOMENT = now()
ADA = Agent(
    id="ada", handle="ada", name="Ada", system_prompt="Be kind.", revision=1,
    created_at=MOMENT, updated_at=MOMENT,
)  # fmt: skip
NAMES = {"ada": "Ada", "bob": "Bob"}
SKILL = Skill("sort", "Sort things.", "First, look.", Path("/nowhere"))


def message(
    role: Role,
    text: str,
    agent: str = "ada",
    parts: tuple[Part, ...] = (),
) -> HistoryMessage:
    return HistoryMessage(id="m", role=role, text=text, agent_id=agent, parts=parts)


def tool_part(
    call_id: str, output: str = "out", arguments: str = "{}", status: ToolStatus = "ok"
) -> ToolPart:
    return ToolPart(
        step=0, call_id=call_id, name="x", arguments=arguments, output=output, status=status
    )


def seen(*history: HistoryMessage, skills: tuple[Skill, ...] = ()) -> list[dict[str, Any]]:
    return history_messages(history, ADA, NAMES, skills)


def test_a_conversation_alternates() -> None:
    assert seen(message("user", "a"), message("agent", "b"), message("user", "c")) == [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]


def test_rule_3_empty_answers_are_left_out_and_users_messages_become_one() -> None:
    history = (message("user", "a"), message("agent", ""), message("user", "b"))
    assert seen(*history) == [{"role": "user", "content": "a\n\nb"}]


def test_what_a_failed_or_stopped_answer_had_said_stays() -> None:
    history = (message("user", "a"), message("agent", "half"))
    assert seen(*history)[1] == {"role": "assistant", "content": "half"}


def test_other_agents_are_told_of_under_their_names() -> None:
    history = (message("user", "a"), message("agent", "b", agent="bob"), message("user", "c"))
    assert seen(*history) == [{"role": "user", "content": "a\n\n[Bob answered]\nb\n\nc"}]


def test_earlier_calls_and_results_are_told_again() -> None:
    parts = (
        ReasoningPart(step=0, text="hm"),
        TextPart(step=0, text="I look."),
        tool_part("a"),
        tool_part("b", output="", status="cancelled"),
        TextPart(step=3, text="\n\nDone."),
    )
    answer = message("agent", "I look.\n\nDone.", parts=parts)
    assert seen(message("user", "q"), answer)[1:] == [
        {
            "role": "assistant",
            "content": "I look.",
            "reasoning_content": "hm",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "x", "arguments": "{}"}},
                {"id": "b", "type": "function", "function": {"name": "x", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "out"},
        {"role": "tool", "tool_call_id": "b", "content": "(no result: the call was cancelled)"},
        {"role": "assistant", "content": "Done."},
    ]


@pytest.mark.parametrize("arguments", ['{"a": ', "[1]", "", "null", "[" * 100_000])
def test_malformed_arguments_never_reach_a_server_again(arguments: str) -> None:
    call = answer_messages([tool_part("a", arguments=arguments)])[0]["tool_calls"][0]
    assert call["function"]["arguments"] == "{}"


def test_a_call_that_was_recorded_twice_has_one_result() -> None:
    parts = [tool_part("a", output="unknown", status="unknown"), tool_part("a", output="42")]
    assert [each["role"] for each in answer_messages(parts)] == ["assistant", "tool"]
    assert answer_messages(parts)[1]["content"] == "42"


def test_reasoning_alone_is_no_message() -> None:
    assert answer_messages([ReasoningPart(step=0, text="hm")]) == []


def test_the_system_prompt_has_the_catalogue_of_skills() -> None:
    assert system_messages(ADA, ()) == [{"role": "system", "content": "Be kind."}]
    content = system_messages(ADA, (SKILL,))[0]["content"]
    assert content.startswith("Be kind.\n\n<available_skills>\n- sort: Sort things.\n")
    assert system_messages(ADA.model_copy(update={"system_prompt": " "}), ()) == []


def test_a_slash_and_a_name_bring_the_skill_along() -> None:
    content = seen(message("user", "/sort my desk"), skills=(SKILL,))[0]["content"]
    assert content.startswith('/sort my desk\n\n<skill_content name="sort">\nFirst, look.')
    assert seen(message("user", "/sort my desk"))[0]["content"] == "/sort my desk"
    for text in ("sort /sort", "/sorted", "/", "/ sort"):
        assert seen(message("user", text), skills=(SKILL,))[0]["content"] == text


def test_a_longer_history_begins_with_the_shorter_one() -> None:
    history = [message("user", "a"), message("agent", "b"), message("user", "c")]
    longer = [*history, message("agent", "d"), message("user", "e")]
    assert seen(*longer)[:3] == seen(*history)
