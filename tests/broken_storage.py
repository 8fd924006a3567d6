"""Storage that fails, for tests: a small disk that can be filled, a file that is damaged."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A file system of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        """Leave no byte free."""
        with self._ballast.open("wb", buffering=0) as file:
            for size in (2**16, 2**8, 1):
                _write_until_refused(file.fileno(), bytes(size))

    def make_room(self) -> None:
        """Free what `fill` took."""
        self._ballast.unlink()


def _write_until_refused(file: int, block: bytes) -> None:
    try:
        while True:
            os.write(file, block)
    except OSError:
        return


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[SmallDisk]:
    """Mount a small disk at a new folder; skip the test where that is not allowed."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    try:
        made = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no command mount")
    if made.returncode:
        pytest.skip(f"a file system can be mounted by root only: {made.stderr.strip()}")
    try:
        yield SmallDisk(path)
    finally:
        # What still runs on it is killed by another fixture, maybe later.
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def damage(path: Path, table: str) -> None:
    """Overwrite the page at which a table begins."""
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = file.execute("PRAGMA page_size").fetchone()[0]
        find = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        start = (file.execute(find, (table,)).fetchone()[0] - 1) * size
    content = bytearray(path.read_bytes())
    content[start : start + size] = b"\xff" * size
    path.write_bytes(content)
