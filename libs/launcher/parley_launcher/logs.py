"""Where the services' words go: all of them into files, troubles to the terminal as well."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

LINE = re.compile(r"^\S+ (?P<level>[A-Z]+) \S+ \S+ (?P<words>.*)$")
"""A line of a Parley service: time, level, service, trace, words."""
NATS_LINE = re.compile(r"^\[\d+\] \S+ \S+ \[(?P<level>[A-Z]+)\] (?P<words>.*)$")
TROUBLES = frozenset({"WARNING", "ERROR", "CRITICAL", "WRN", "ERR", "FTL"})
EXPECTED = "Plaintext passwords detected"
"""The broker's warning about its own configuration, which only the owner can read."""
FILE_BYTES = 5_000_000
OLD_FILES = 2


class LogFile(RotatingFileHandler):
    """A file of lines that begins anew before it grows too large."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Lose the line: a full disk must not stop the service that wrote it."""


class ServiceLog:
    """Takes the lines of one process."""

    def __init__(self, label: str, folder: Path) -> None:
        self._label = label
        self._file = LogFile(
            folder / f"{label}.log", maxBytes=FILE_BYTES, backupCount=OLD_FILES, delay=True
        )
        self.last = ""
        """The words of the latest line."""

    async def follow(self, pipe: int) -> None:
        """Take everything until all writers have closed the pipe, then close it too."""
        output, rest = asyncio.StreamReader(), b""
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(output), os.fdopen(pipe, "rb", buffering=0)
        )
        try:
            while chunk := await output.read(65536):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._take(line)
            if rest:
                self._take(rest)
        finally:
            transport.close()

    def _take(self, output: bytes) -> None:
        line = output.decode(errors="replace")
        self._file.emit(logging.makeLogRecord({"msg": line}))
        found = LINE.match(line) or NATS_LINE.match(line)
        self.last = found["words"] if found else line
        trouble = found is None or found["level"] in TROUBLES
        if trouble and EXPECTED not in self.last:
            say(self._label, self.last)


def say(label: str, words: str) -> None:
    """Show one line on the terminal, under its service's name; a terminal that is gone is fine."""
    with suppress(OSError):
        print(f"{label:>14}  {words}", file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Print what a person asked for; a terminal or pipe that is gone is fine."""
    with suppress(OSError):
        print(text, flush=True)


def forget_unsaid() -> None:
    """Let nothing be flushed at exit to where nothing can be written."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
