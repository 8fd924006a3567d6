"""No text holds up the page: what would take minutes is shown plain, and the rest is linear."""

from __future__ import annotations

import signal
from collections import Counter
from html import unescape

import pytest
from markdown_it.rules_block import StateBlock
from parley_web.markdown import GrowingMarkdown, inline, mathematics, render
from parley_web.markdown.budget import Budget, OutOfTime

CODE = "a" * 99_999
TANGLED = "a\n> \n> #\n" * 10_000


def test_code_that_takes_its_lexer_minutes_is_shown_plain() -> None:
    html = render(f"```devicetree\n{CODE}\n```\n\n```python\nNone\n```\n\n*after*")
    assert f"<code>{CODE}\n</code>" in html
    assert "<em>after</em>" in html
    assert render("```python\nNone\n```").count("<span") == 2, "the next message is coloured"


def test_markdown_that_takes_minutes_is_shown_as_it_was_written() -> None:
    html = render(TANGLED)
    assert unescape(html.partition("<code>")[2].partition("</code>")[0]) == TANGLED
    growing = GrowingMarkdown()
    growing.append(TANGLED)
    assert "<code>a\n&gt; " in (growing.grow().tail or "")
    assert "<code>a\n&gt; " in growing.close().closed


def test_a_formula_that_never_ends_is_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Counter[int]()
    line = mathematics._line

    def counted(state: StateBlock, number: int) -> str:
        read[number] += 1
        return line(state, number)

    monkeypatch.setattr(mathematics, "_line", counted)
    assert "<math" not in render("\\[\n" * 1_000)
    assert max(read.values()) < 10


def test_brackets_behind_an_address_are_counted_once() -> None:
    assert inline._trimmed("http://a.example" + ")" * 500_000) == "http://a.example"
    assert ">http://a.example/(b)</a>).</p>" in render("http://a.example/(b)).")


def test_a_budget_is_shared_by_the_blocks_it_allows() -> None:
    budget = Budget(0.05)
    with pytest.raises(OutOfTime):
        while True:
            with budget:
                sum(range(1_000))
    with pytest.raises(OutOfTime), budget:
        pytest.fail("nothing is left")


def test_no_alarm_outlives_its_block() -> None:
    with pytest.raises(OutOfTime), Budget(60):
        signal.raise_signal(signal.SIGVTALRM)
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)
    with Budget(60):
        assert signal.getitimer(signal.ITIMER_VIRTUAL)[1] == 0, "it rings once"
    signal.raise_signal(signal.SIGVTALRM)  # too late: nobody hears it
