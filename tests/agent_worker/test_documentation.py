"""The page on models, tools and skills says what is true."""

from __future__ import annotations

import re
from pathlib import Path

from parley_agent_worker.models.base import BEFORE_OUTPUT, KINDS
from parley_agent_worker.models.directives import VERBS
from parley_agent_worker.models.discovery import USUAL_PORTS
from parley_agent_worker.models.presets import NAMES

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text()


def first_column(heading: str) -> list[str]:
    section = PAGE.split(f" {heading}\n", 1)[1].split("\n#", 1)[0]
    return re.findall(r"^\| `\[*([\w-]+)", section, re.MULTILINE)


def test_every_way_in_which_a_model_fails_is_listed() -> None:
    assert first_column("Why a turn failed")[: len(KINDS)] == list(KINDS)
    assert list(KINDS)[:7] == [kind for kind in KINDS if kind in BEFORE_OUTPUT]


def test_every_directive_and_provider_is_listed() -> None:
    assert sorted(first_column("The echo")) == sorted(VERBS)
    assert first_column("Models") == [*NAMES, "echo"]
    assert all(str(port) in PAGE for port in USUAL_PORTS)
