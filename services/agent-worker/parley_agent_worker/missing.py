"""What an answer has to do without: skills and tools that are named and not there.

The turn goes on without them, since they may come back by themselves; the answer says so.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator

from parley_contracts.agents import Agent

from parley_agent_worker.skills import SkillLibrary

_CALLED = re.compile(r"/([a-z0-9]+(?:-[a-z0-9]+)*)(?=\s|\Z)")
"""A skill's name at the beginning of a message; a path goes on with a slash or a dot."""


def what_is_missing(
    text: str, agent: Agent, library: SkillLibrary, tools: Container[str]
) -> tuple[str, ...]:
    """Return a sentence for each kind of thing that the message or the agent names in vain."""
    called = _CALLED.match(text)
    known = {info.name: info.problem for info in library.infos}
    found: list[str] = []
    if called:
        found += _called_in_vain(called[1], agent, known)
    usable = {name for name, problem in known.items() if problem is None}
    found += _lacking(agent, "tools", (name for name in agent.tools if name not in tools))
    found += _lacking(agent, "skills", (name for name in agent.skills if name not in usable))
    return tuple(found)


def _called_in_vain(name: str, agent: Agent, known: dict[str, str | None]) -> Iterator[str]:
    if name not in known:
        yield f"There is no skill “{name}”, so this was answered without one."
    elif problem := known[name]:
        yield f"The skill “{name}” was not used: {problem}"
    elif name not in agent.skills:
        yield (
            f"@{agent.handle} does not have the skill “{name}”, so this was answered without it;"
            " give it to the agent, or ask another one."
        )


def _lacking(agent: Agent, kind: str, names: Iterable[str]) -> Iterator[str]:
    if missing := ", ".join(sorted(names)):
        yield (
            f"@{agent.handle} answered without these of its {kind}, which are not there: {missing}."
        )
