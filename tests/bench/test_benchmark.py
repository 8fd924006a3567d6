"""The benchmark runs from end to end. What it measures is nobody's promise here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.report import Row, Target, table

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = {"direct": 1.0, "relay": 4.0, "parley": 8.0}


def test_a_quick_run_takes_each_figure_of_every_system(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = (sys.executable, "-m", "bench", "--quick", "--only", "turn", "--json", file)
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    figures = json.loads(file.read_text())["figures"]
    assert "first token, overhead p50" in {each["figure"] for each in figures}
    for each in figures:
        assert set(each["values"]) == {"direct", "relay", "parley"}
        assert all(value > 0 for value in each["values"].values())
        assert each["figure"] in run.stdout


@pytest.mark.parametrize(
    ("target", "reached"),
    [
        (Target(at_most=8), True),
        (Target(at_most=7.9), False),
        (Target(at_least=8), True),
        (Target(at_least=8.1), False),
        (Target(at_most=8, times_relay=2), True),
        (Target(at_most=8, times_relay=1.9), False),
    ],
)
def test_a_target_is_held_against_the_figure_and_the_relays(target: Target, reached: bool) -> None:
    assert Row("first token", "ms", NUMBERS, target).reached is reached


def test_the_table_says_what_is_not_reached() -> None:
    rows = [
        Row("good", "ms", NUMBERS, Target(at_most=8)),
        Row("bad", "", NUMBERS, Target(at_most=1)),
    ]
    _, good, bad = table(rows).splitlines()
    assert good.endswith("  reached")
    assert bad.endswith("NOT reached")
