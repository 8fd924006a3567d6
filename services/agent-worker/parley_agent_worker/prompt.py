"""Turns a thread's history into what a model is sent.

The messages only ever grow at the end: nothing that changes from turn to turn (the time, say)
stands before them, so that model servers find what they have already read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from parley_contracts.agents import Agent
from parley_contracts.messages import HistoryMessage, Part, ReasoningPart, TextPart, ToolPart

from parley_agent_worker.models.base import ChatMessage
from parley_agent_worker.progress import SEPARATOR
from parley_agent_worker.skills import Skill

_CATALOGUE = """\
<available_skills>
{skills}
</available_skills>
When a task fits a skill's description, load the skill with load_skill before you begin."""
_NO_OUTPUT = "(no result: the call was cancelled)"


def system_messages(agent: Agent, skills: Sequence[Skill]) -> list[ChatMessage]:
    """Return the agent's system prompt and the catalogue of its skills, if there are any."""
    listed = "\n".join(f"- {skill.name}: {skill.description}" for skill in skills)
    catalogue = _CATALOGUE.format(skills=listed) if skills else ""
    content = "\n\n".join(part for part in (agent.system_prompt.strip(), catalogue) if part)
    return [{"role": "system", "content": content}] if content else []


def history_messages(
    history: Iterable[HistoryMessage],
    agent: Agent,
    names: Mapping[str, str],
    skills: Sequence[Skill],
) -> list[ChatMessage]:
    """Return the history as `agent` sees it.

    Its own answers are the assistant's, with their tool calls. What other agents said is told as
    part of the conversation, under their names (`names`: display names by agent id). Answers
    without content are left out, and what then meets as two user messages becomes one.
    """
    messages: list[ChatMessage] = []
    told: list[str] = []
    for entry in _entries(history, agent, names, {skill.name: skill for skill in skills}):
        if isinstance(entry, str):
            told.append(entry)
        else:
            _tell(messages, told)
            messages += entry
    _tell(messages, told)
    return messages


def _entries(
    history: Iterable[HistoryMessage],
    agent: Agent,
    names: Mapping[str, str],
    skills: Mapping[str, Skill],
) -> Iterator[str | list[ChatMessage]]:
    """Yield what was said to `agent` as text, and its own answers as messages."""
    for message in history:
        if message.role == "user":
            yield _with_skill(message.text, skills)
        elif message.agent_id == agent.id:
            if answer := _own_answer(message):
                yield answer
        elif message.text:
            name = names.get(message.agent_id, "Another agent")
            yield f"[{name} answered]\n{message.text}"


def _tell(messages: list[ChatMessage], told: list[str]) -> None:
    """Make one user message of what was told since the last answer."""
    if told:
        messages.append({"role": "user", "content": SEPARATOR.join(told)})
        told.clear()


def answer_messages(parts: Iterable[Part]) -> list[ChatMessage]:
    """Return an answer's steps: what was said and called, then the results."""
    messages: list[ChatMessage] = []
    said_before = False
    for _, step in groupby(parts, key=lambda part: part.step):
        messages += _step_messages(list(step), said_before)
        said_before = any(
            message["role"] == "assistant" and message["content"] for message in messages
        )
    return messages


def _step_messages(parts: list[Part], said_before: bool) -> list[ChatMessage]:
    text = "".join(part.text for part in parts if isinstance(part, TextPart))
    reasoning = "".join(part.text for part in parts if isinstance(part, ReasoningPart))
    tools = {part.call_id: part for part in parts if isinstance(part, ToolPart)}
    if not text and not tools:
        return []
    content = text.removeprefix(SEPARATOR) if said_before else text
    answer: ChatMessage = {"role": "assistant", "content": content}
    if reasoning:
        answer["reasoning_content"] = reasoning
    if tools:
        answer["tool_calls"] = [_call(tool) for tool in tools.values()]
    return [answer, *(_result(tool) for tool in tools.values())]


def _call(tool: ToolPart) -> ChatMessage:
    function = {"name": tool.name, "arguments": _well_formed(tool.arguments)}
    return {"id": tool.call_id, "type": "function", "function": function}


def _result(tool: ToolPart) -> ChatMessage:
    content = tool.output or (_NO_OUTPUT if tool.status == "cancelled" else "")
    return {"role": "tool", "tool_call_id": tool.call_id, "content": content}


def _well_formed(arguments: str) -> str:
    """Return the arguments, `{}` for what is no JSON object: some servers fail on that for ever."""
    try:
        return arguments if isinstance(json.loads(arguments), dict) else "{}"
    except (ValueError, RecursionError):
        return "{}"


def _own_answer(message: HistoryMessage) -> list[ChatMessage]:
    """Return an own answer; the plain ones, which are nearly all of a long history, cost little."""
    if any(part.type != "text" for part in message.parts):
        return answer_messages(message.parts)
    return [{"role": "assistant", "content": message.text}] if message.text else []


def _with_skill(text: str, skills: Mapping[str, Skill]) -> str:
    """Return the text with the skill that it calls for by `/name` at its beginning."""
    if not text.startswith("/"):
        return text
    skill = skills.get(text.split(maxsplit=1)[0].removeprefix("/"))
    return f"{text}{SEPARATOR}{skill.content()}" if skill else text
