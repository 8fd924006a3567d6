"""The lock on the data folder (rule 19): one gateway a database file."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from parley_contracts.errors import Conflict, Unavailable

FILE_NAME = "gateway.lock"


def make_folder(folder: Path) -> None:
    """Make the data folder, for the owner only; raises Unavailable."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"The data folder {folder} cannot be made: {error.strerror}.") from None


class FolderLock:
    """Holds the folder until `release`, or until the process is gone."""

    def __init__(self, folder: Path) -> None:
        """Take the lock; raises Conflict when another gateway holds it."""
        self._file = os.open(folder / FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise Conflict(
                f"Another Parley uses the data folder {folder}; stop it, or choose another folder "
                "with --data.",
                kind="folder-in-use",
            ) from None

    def release(self) -> None:
        """Let the next one in."""
        os.close(self._file)
