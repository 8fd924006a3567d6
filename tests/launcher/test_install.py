"""`.venv` is made once, kept at the pins, and begun anew after an interruption."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import threading
from pathlib import Path

import pytest
from parley_launcher import install as installer
from parley_launcher.install import CannotInstall, install, installed

LOCK = """\
uv==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via root
uv-build==1.0 \\
    --hash=sha256:cc
"""


class Checkout:
    """A small checkout whose installing commands are noted instead of run."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.commands: list[str] = []
        self.pins: list[str] = []
        self.failing: dict[str, BaseException] = {}
        for name in ("requirements.lock", "requirements-dev.lock"):
            (root / name).write_text(LOCK)
        (root / "libs" / "one").mkdir(parents=True)
        (root / "libs" / "one" / "pyproject.toml").write_text("")
        monkeypatch.setattr(installer, "ROOT", root)
        monkeypatch.setattr(installer, "VENV", root / ".venv")
        locks = {"run": root / "requirements.lock", "test": root / "requirements-dev.lock"}
        monkeypatch.setattr(installer, "LOCKS", locks)
        monkeypatch.setattr(installer, "_run", self._run)

    def _run(self, what: str, *command: str) -> None:
        self.commands.append(what)
        if what == "making the folder":
            shutil.rmtree(self.root / ".venv", ignore_errors=True)
            (self.root / ".venv").mkdir()
        if what == "installing uv":
            self.pins.append(Path(command[-1]).read_text())
        if what in self.failing:
            raise self.failing.pop(what)

    def taken(self) -> list[str]:
        """Return the commands since the last time."""
        taken, self.commands = self.commands, []
        return taken


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A checkout without `.venv`."""
    return Checkout(tmp_path, monkeypatch)


PACKAGES = ["installing uv", "installing packages", "installing Parley"]
EVERYTHING = ["making the folder", *PACKAGES]


def test_the_first_call_makes_everything_and_the_next_nothing(checkout: Checkout) -> None:
    install("run")
    install("run")
    assert checkout.taken() == EVERYTHING
    assert installed("run")


def test_pip_gets_the_installers_pin_with_its_hashes_and_nothing_else(checkout: Checkout) -> None:
    install("run")
    assert checkout.pins == [LOCK.split("uv-build")[0].rstrip("\n")]


def test_tests_need_more_and_running_needs_no_more_then(checkout: Checkout) -> None:
    install("run")
    assert not installed("test")
    install("test")
    assert checkout.taken() == [*EVERYTHING, *PACKAGES]
    assert installed("run")


@pytest.mark.parametrize("file", ["requirements.lock", "libs/one/pyproject.toml"])
def test_a_changed_pin_or_package_updates_what_is_there(checkout: Checkout, file: str) -> None:
    install("run")
    checkout.taken()
    (checkout.root / file).write_text(f"{LOCK}# changed\n")
    install("run")
    assert checkout.taken() == PACKAGES


def test_a_checkout_that_was_moved_is_installed_anew(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("run")
    moved = checkout.root.with_name("moved")
    checkout.root.rename(moved)
    monkeypatch.setattr(installer, "ROOT", moved)
    monkeypatch.setattr(installer, "VENV", moved / ".venv")
    monkeypatch.setattr(installer, "LOCKS", {"run": moved / "requirements.lock"})
    assert not installed("run")


@pytest.mark.parametrize("step", PACKAGES)
@pytest.mark.parametrize("fault", [KeyboardInterrupt(), CannotInstall("no network")])
def test_an_interrupted_installation_is_begun_anew(
    checkout: Checkout, step: str, fault: BaseException
) -> None:
    checkout.failing[step] = fault
    with pytest.raises(type(fault)):
        install("run")
    checkout.taken()
    install("run")
    assert checkout.taken() == EVERYTHING


def test_an_interrupted_update_is_begun_anew(checkout: Checkout) -> None:
    install("test")
    (checkout.root / "requirements.lock").write_text(f"{LOCK}# changed\n")
    checkout.failing["installing packages"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        install("run")
    checkout.taken()
    install("run")
    assert checkout.taken() == EVERYTHING


def test_a_second_call_waits_for_the_first_and_finds_all_done(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("run")
    checkout.taken()
    stamp = checkout.root / ".venv" / "parley-run.stamp"
    unfinished = stamp.rename(stamp.with_name("unfinished"))
    waiting = threading.Event()
    monkeypatch.setattr(installer, "_say", lambda words: waiting.set())
    first = os.open(checkout.root, os.O_RDONLY)
    fcntl.flock(first, fcntl.LOCK_EX)
    second = threading.Thread(target=install, args=("run",))
    second.start()
    assert waiting.wait(30)
    unfinished.rename(stamp)
    os.close(first)
    second.join()
    assert checkout.taken() == []


def test_a_python_without_ensurepip_is_told_what_to_install(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CannotInstall, match=r"lacks its module ensurepip.*python3-venv"):
        install("run")


def test_a_failing_installer_ends_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CannotInstall, match=r"^installing packages failed .*check the network"):
        installer._run("installing packages", sys.executable, "-c", "raise SystemExit(1)")
