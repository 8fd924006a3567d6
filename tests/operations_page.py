"""The commands of docs/operations.md: what stands in its marked blocks."""

from __future__ import annotations

import re

from compose_house import ROOT

_PAGE = (ROOT / "docs" / "operations.md").read_text()
_BLOCK = re.compile(r"(?:<!-- run: ([\w -]+) -->\n)?```sh\n(.*?)```", re.DOTALL)


def commands(mark: str) -> list[str]:
    """Return the lines of all blocks with this mark, in the page's order."""
    return [
        line for each, text in _BLOCK.findall(_PAGE) if each == mark for line in text.splitlines()
    ]


def marks() -> set[str]:
    """Return all marks; a block of commands without one has the mark ''."""
    return {each for each, _ in _BLOCK.findall(_PAGE)}
