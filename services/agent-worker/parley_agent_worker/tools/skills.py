"""The tools by which a model reads the skills of its agent; without a skill there are none."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from parley_agent_worker.skills import Skill, SkillProblem
from parley_agent_worker.tools.tool import Tool, ToolContext, ToolFailed, tool

CONTENT_BYTES = 64 * 1024

Name = Annotated[str, Field(description="the skill's name, as listed")]
Path = Annotated[
    str, Field(description="a path inside the skill's folder, as listed by load_skill")
]


async def load_skill(name: Name, context: ToolContext) -> str:
    """Load a skill's instructions. Do this before a task that the skill's description fits."""
    return _skill(name, context).content()


async def read_skill_file(name: Name, path: Path, context: ToolContext) -> str:
    """Read a file that belongs to a skill."""
    try:
        return _skill(name, context).read(path)
    except SkillProblem as problem:
        raise ToolFailed(str(problem)) from None


def _skill(name: str, context: ToolContext) -> Skill:
    for skill in context.skills:
        if skill.name == name:
            return skill
    names = ", ".join(skill.name for skill in context.skills)
    raise ToolFailed(f"There is no skill “{name}”; there are: {names}.")


def skill_tools() -> tuple[Tool, ...]:
    """Return the tools."""
    return (
        tool(load_skill, repeatable=True, output_bytes=CONTENT_BYTES),
        tool(read_skill_file, repeatable=True, output_bytes=CONTENT_BYTES),
    )
