"""The owner's own tools come from the files that he names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from parley_agent_worker.tools.own import own_tools
from parley_agent_worker.tools.tool import ToolContext
from parley_contracts.errors import Invalid

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text()


async def test_the_documented_example_is_a_tool(tmp_path: Path) -> None:
    example = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert example
    file = tmp_path / "mine.py"
    file.write_text(example[1])
    (dice,) = own_tools([file])
    assert (dice.name, dice.repeatable) == ("dice", True)
    assert dice.description == "Roll a die and return the result."
    assert await dice.call('{"sides": 2}', ToolContext()) in ("1", "2")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("nothing = 0", "holds no tool"),
        ("import nowhere", "cannot be run (ModuleNotFoundError"),
        ("def", "cannot be run (SyntaxError"),
        ("raise SystemExit(3)", "cannot be run (SystemExit: 3)"),
    ],
)
def test_a_file_without_a_tool_is_refused_by_name(tmp_path: Path, code: str, reason: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(code)
    with pytest.raises(Invalid, match=re.escape(str(file))) as refusal:
        own_tools([file])
    assert reason in refusal.value.detail


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be run"):
        own_tools([tmp_path / "none.py"])
