"""The script `./parley` finds a Python by itself, or says which one is missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from parley_launcher.install import ROOT

TOLD = "#!/bin/sh\n[ \"$1\" = --version ] && echo 'Python 3.9.2' && exit 0\n"
OLD = f"{TOLD}exit 1\n"
NEW = f'{TOLD}[ "$1" = -c ] && exit 0\necho "$0" "$@"\n'


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder of programs with nothing but the shell's own; `checkout` beside it has no .venv."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for each in ("dirname", "readlink"):
        (programs / each).symlink_to(str(shutil.which(each)))
    (tmp_path / "a checkout").mkdir()
    shutil.copy(ROOT / "parley", tmp_path / "a checkout")
    return programs


def parley(machine: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = machine.parent / "a checkout" / "parley"
    return subprocess.run(
        ["/bin/sh", script, *arguments], env={"PATH": str(machine)}, capture_output=True, text=True
    )


def install_python(machine: Path, name: str, script: str) -> None:
    (machine / name).write_text(script)
    (machine / name).chmod(0o755)


def test_no_python_is_told_in_one_sentence(machine: Path) -> None:
    found = parley(machine, "up")
    assert found.returncode == 1
    assert found.stderr.startswith("parley: Python 3.11 or newer is needed and no python3 was")


def test_an_old_python_is_named(machine: Path) -> None:
    install_python(machine, "python3", OLD)
    found = parley(machine, "up")
    assert found.returncode == 1
    assert "is needed and Python 3.9.2 was found; install it" in found.stderr


def test_a_newer_python_beside_an_old_one_is_taken(machine: Path) -> None:
    install_python(machine, "python3", OLD)
    install_python(machine, "python3.12", NEW)
    found = parley(machine, "send", "two words")
    program, isolated, start, *arguments = found.stdout.replace("a checkout", "_").split()
    assert program.endswith("bin/python3.12")
    assert isolated == "-I"
    assert start.endswith("_/libs/launcher/parley_launcher/install.py")
    assert arguments == ["send", "two", "words"]


def test_a_made_environment_is_used_without_looking_further(machine: Path) -> None:
    own = machine.parent / "a checkout" / ".venv" / "bin"
    own.mkdir(parents=True)
    install_python(own, "python", NEW)
    assert "a checkout/.venv/bin/python -I" in parley(machine, "up").stdout


def test_a_link_to_the_script_leads_to_its_checkout(machine: Path) -> None:
    install_python(machine, "python3.12", NEW)
    (machine / "parley").symlink_to("../a checkout/parley")
    found = subprocess.run(
        ["/bin/sh", machine / "parley"], env={"PATH": str(machine)}, capture_output=True, text=True
    )
    assert "/a checkout/libs/launcher/parley_launcher/install.py" in found.stdout


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_the_overview_lists_the_commands(arguments: list[str]) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "parley_launcher", *arguments], capture_output=True, text=True
    )
    assert found.returncode == 0
    for command in ("up", "send", "status", "events", "test", "lock"):
        assert f"./parley {command} " in found.stdout


def test_an_unknown_command_is_one_sentence() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "parley_launcher", "upp"], capture_output=True, text=True
    )
    assert found.returncode == 1
    assert found.stderr == "parley: there is no command 'upp'; './parley --help' lists them.\n"
