"""Failpoints: named places between two steps at which `./parley chaos` lets a process die.

PARLEY_FAILPOINTS names a folder. A point is armed by a file of its name there, which holds a
signal's name: the first process that passes removes the file and sends itself that signal. Without
the variable a point costs a comparison.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Literal, get_args

Failpoint = Literal[
    # gateway: a transaction, and what follows from it
    "commit.before",
    "commit.after",
    "reply.before",
    "reply.after",
    "slot.put.before",
    "slot.put.after",
    "slot.delete.before",
    "slot.delete.after",
    # gateway and workers: an event that is stored
    "event.store.before",
    "event.store.after",
    # workers: a turn's way
    "begin.before",
    "begin.after",
    "event.send.before",
    "event.send.after",
    "record.before",
    "record.after",
    "tool.before",
    "tool.after",
    "finish.before",
    "finish.after",
    "release.before",
    "release.after",
    "acknowledge.before",
    "acknowledge.after",
    # web: a message on its way in
    "send.before",
    "send.after",
]

FAILPOINTS: tuple[Failpoint, ...] = get_args(Failpoint)

_FOLDER = os.environ.get("PARLEY_FAILPOINTS")


def failpoint(name: Failpoint) -> None:
    """Go on, unless this point is armed: then send the armed signal to this process."""
    if _FOLDER is not None:
        _strike(Path(_FOLDER) / name)


def arm(folder: Path, name: Failpoint, by: signal.Signals = signal.SIGKILL) -> Path:
    """Arm a point for the next process that passes; return the file that is gone once it struck."""
    file = folder / name
    draft = folder / f".{name}"
    draft.write_text(by.name)
    draft.rename(file)
    return file


def _strike(file: Path) -> None:
    try:
        by = signal.Signals[file.read_text()]
        file.unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), by)
