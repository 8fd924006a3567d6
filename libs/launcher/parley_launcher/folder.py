"""The data folder: everything that Parley keeps, readable by its owner only."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import IO, Any

from parley_launcher.errors import Trouble

ASK_AGAIN_S = 0.01


class DataFolder:
    """Names what lies in the folder and tells whether a Parley runs on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.nats = path / "nats"
        """A context file for each NATS credential, the server's configuration and its store."""
        self.logs = path / "logs"
        self.token = path / "access-token"
        """Made by the gateway at its first start."""
        self.run = path / "run.json"
        """What runs at this moment: pids, ports, the page's address."""
        self._lock = path / "launcher.lock"

    def make(self) -> None:
        """Make the folder and close it to others. Raises Trouble."""
        try:
            for each in (self.path, self.nats, self.logs):
                each.mkdir(mode=0o700, parents=True, exist_ok=True)
                each.chmod(0o700)
        except OSError as error:
            raise Trouble(
                f"the data folder {self.path} cannot be used: {error.strerror};"
                " give another one with --data (PARLEY_DATA)"
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one launcher. Raises Trouble when another one holds it."""
        with self._lock.open("a+") as file:
            while not _taken(file, fcntl.LOCK_EX):
                if not _taken(file, fcntl.LOCK_SH):
                    raise Trouble(
                        f"Parley runs already on the data folder {self.path}; stop it first,"
                        " or give another folder with --data (PARLEY_DATA)"
                    )
                # No launcher holds it, only somebody who asks what runs: `running`.
                sleep(ASK_AGAIN_S)
            try:
                yield
            finally:
                self.run.unlink(missing_ok=True)

    def started_at(self) -> str | None:
        """Return when the Parley was started that runs on the folder, None when none does."""
        try:
            return str(self.running()["started_at"])
        except (Trouble, OSError):
            return None

    def running(self) -> dict[str, Any]:
        """Return what `run.json` says. Raises Trouble when no launcher holds the folder."""
        try:
            with self._lock.open() as file:
                held = not _taken(file, fcntl.LOCK_SH)
        except FileNotFoundError:
            held = False
        if not held:
            raise Trouble(
                f"Parley does not run on the data folder {self.path}; './parley up' starts it"
            )
        try:
            content: dict[str, Any] = json.loads(self.run.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError) as error:
            raise Trouble(
                f"Parley is starting on the data folder {self.path}, or is being restored;"
                " try again"
            ) from error
        return content


def _taken(file: IO[str], kind: int) -> bool:
    """Take the lock of this kind if nobody is in the way."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all. Raises Trouble."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise Trouble(
            f"{path} cannot be written: {error.strerror}; make room on the disk, or give another"
            " data folder with --data (PARLEY_DATA)"
        ) from error
