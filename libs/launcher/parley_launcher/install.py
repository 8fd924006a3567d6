"""Keeps `.venv` at the pins of the lock files, then hands over to the command.

The script `./parley` runs this file before any package is there, so it imports nothing but the
standard library. A stamp in `.venv` tells what was installed from which files; it goes before
anything changes and comes back at the end, so that an interrupted installation is begun anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
LOCKS = {"run": ROOT / "requirements.lock", "test": ROOT / "requirements-dev.lock"}
"""What may be installed: what runs, and what tests; the second holds all of the first."""
NEEDS_TEST = frozenset({"test", "lock"})
"""The commands that need more than what runs."""


class CannotInstall(Exception):
    """One sentence: what is missing, what to do."""


def packages() -> list[Path]:
    """Return the folders of Parley's own packages."""
    found = (ROOT.glob(f"{each}/*/pyproject.toml") for each in ("libs", "services"))
    return sorted(each.parent for files in found for each in files)


def stamp(wanted: str) -> str:
    """Return what an installation of `wanted` is made from, as a hash; the place counts too."""
    files = [LOCKS[wanted], *(each / "pyproject.toml" for each in packages())]
    content = b"\0".join([os.fsencode(ROOT), *(each.read_bytes() for each in files)])
    return hashlib.sha256(content).hexdigest()


def installed(wanted: str) -> bool:
    """Tell whether `.venv` holds what `wanted` needs, at the pins of this moment."""
    try:
        return _stamp_file(wanted).read_text() == stamp(wanted)
    except FileNotFoundError:
        return False


def install(wanted: str) -> None:
    """Bring `.venv` to the pins of `wanted`, from nothing where need be.

    Raises CannotInstall.
    """
    with _alone():
        if installed(wanted):
            return
        if not any(_stamp_file(each).exists() for each in LOCKS):
            _say("making .venv; this happens once and takes a minute or less")
            _make_venv()
        else:
            _say("bringing .venv up to date")
        _remove_stamps()
        _install_packages(LOCKS[wanted])
        for each in LOCKS if wanted == "test" else [wanted]:
            _stamp_file(each).write_text(stamp(each))


def _make_venv() -> None:
    if importlib.util.find_spec("ensurepip") is None:
        raise CannotInstall(
            f"the Python at {sys.executable} lacks its module ensurepip; install it"
            " (Debian, Ubuntu: 'sudo apt install python3-venv') and call again"
        )
    _run("making the folder", sys.executable, "-m", "venv", "--clear", str(VENV))


def _install_packages(lock: Path) -> None:
    """Install with pip only what installs the rest: uv, many times faster, from the same lock."""
    _say("1 of 3: the installer")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as pin:
        pin.write(_block(lock.read_text(), "uv"))
        pin.flush()
        pip = (str(PYTHON), "-m", "pip", "--quiet", "--disable-pip-version-check")
        _run("installing uv", *pip, "install", "--require-hashes", "--no-deps", "-r", pin.name)
    uv = (str(UV), "pip", "install", "--quiet", "--python", str(PYTHON))
    _say(f"2 of 3: {lock.read_text().count('==')} packages")
    pinned = ("--require-hashes", "--no-deps", "--compile-bytecode", "-r", str(lock))
    _run("installing packages", *uv, *pinned)
    _say("3 of 3: Parley itself")
    own = [word for each in packages() for word in ("--editable", str(each))]
    _run("installing Parley", *uv, "--offline", "--no-deps", "--no-build-isolation", *own)


def _block(lock: str, name: str) -> str:
    """Return the pin of `name` with its hashes: its line and the indented ones below it."""
    found = re.search(rf"^{re.escape(name)}==.*(?:\n .*)*", lock, re.MULTILINE)
    if not found:
        raise CannotInstall(f"the lock file does not pin {name}; './parley lock' makes it anew")
    return found[0]


def _run(what: str, *command: str) -> None:
    """Run an installer's command; its own words go to the terminal."""
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise CannotInstall(
            f"{what} failed (see above); check the network and the free disk, then call again"
        )


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the lock of the checkout: two calls at once install one after the other."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another call is installing; waiting for it")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _stamp_file(wanted: str) -> Path:
    return VENV / f"parley-{wanted}.stamp"


def _remove_stamps() -> None:
    for each in LOCKS:
        _stamp_file(each).unlink(missing_ok=True)


def _say(text: str) -> None:
    print(f"parley: {text}", file=sys.stderr, flush=True)


def main(arguments: list[str]) -> None:
    """Install what the command needs, then become the command in `.venv`'s Python."""
    wanted = "test" if arguments and arguments[0] in NEEDS_TEST else "run"
    if installed(wanted) and Path(sys.prefix) == VENV:
        from parley_launcher.__main__ import main as command

        sys.exit(command(arguments))
    try:
        install(wanted)
    except CannotInstall as error:
        sys.exit(f"parley: {error}.")
    except KeyboardInterrupt:
        sys.exit("parley: interrupted; the next call goes on.")
    os.execv(PYTHON, [str(PYTHON), "-I", __file__, *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
