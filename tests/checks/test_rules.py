"""Each of the rules that keep the promise has tests that name it: `test_rule_<number>_…`."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
RULES = range(1, 27)
NAMED = re.compile(r"^(?:async )?def test_rule_(\d+)_", re.MULTILINE)


def test_every_rule_is_named_by_a_test_and_no_other_is() -> None:
    texts = (path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    assert {int(number) for text in texts for number in NAMED.findall(text)} == set(RULES)
