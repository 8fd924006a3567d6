"""Style, types and import rules hold: each tool is one test, its findings are the message."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sysconfig.get_path("scripts"))


@pytest.mark.parametrize(
    "command",
    [
        "ruff check",
        "ruff format --check",
        "mypy",
        "lint-imports --no-logo",
        "biome check --error-on-warnings",
    ],
)
def test_finds_nothing(command: str) -> None:
    tool, *arguments = command.split()
    found = subprocess.run([BIN / tool, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("script", ["parley", ".ci/run"])
def test_a_script_is_valid_and_executable(script: str) -> None:
    path = ROOT / script
    shell = path.read_text().splitlines()[0].split("/")[-1].split()[-1]
    checked = subprocess.run([shell, "-n", path], capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert path.stat().st_mode & 0o111
