"""A whole Parley for tests: the real `up` on a data folder of its own, on ports of its own.

Two fixtures of tests/conftest.py start it: `house` is one for the whole session, in which a test
keeps to threads of its own; `make_house` makes houses for tests that kill, stop or configure.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ports import own_port

LIMIT_S = 120.0
"""Nothing that is waited for here takes nearly as long; past it a test fails instead of hanging."""
OURS = re.compile(r"^(PARLEY|NATS|LOCAL|OPENAI|ANTHROPIC|OPENROUTER|TELEGRAM)_|^DATABASE_URL$")


class Terminal:
    """What one process has printed so far; the next process gets another."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._silent = False
        self._grown = threading.Condition()

    def show(self, output: IO[str] | None) -> None:
        """Take all lines as they come."""
        assert output
        threading.Thread(target=self._read, args=(output,), daemon=True).start()

    def wait_for(self, words: str, times: int) -> str:
        """Return the line that has these words for so many times, at once or when it appears."""

        def seen() -> list[str]:
            return [each for each in self.lines if words in each]

        with self._grown:
            self._grown.wait_for(lambda: len(seen()) >= times or self._silent, LIMIT_S)
            assert len(seen()) >= times, f"'{words}' was not printed:\n{''.join(self.lines)}"
            return seen()[times - 1]

    def _read(self, output: IO[str]) -> None:
        for line in output:
            with self._grown:
                self.lines.append(line)
                self._grown.notify_all()
        with self._grown:
            self._silent = True
            self._grown.notify_all()


class House:
    """One `./parley up`. Leave the environment's keys out to test without a model server."""

    def __init__(self, data: Path, *options: str, **environment: str) -> None:
        self.data = data
        self.url = ""
        """The page's address, without a slash at the end."""
        self.token = ""
        self._options = options
        self._environment = _clean_environment(data, environment)
        self._process: subprocess.Popen[str] | None = None
        self._terminal = Terminal()

    def start(self) -> House:
        """Start, and return when the page's link was printed."""
        self.begin()
        found = re.search(r"(http://\S+)/#token=(\S+)", self.wait_for("#token="))
        assert found
        self.url, self.token = found[1], found[2]
        return self

    def begin(self) -> None:
        """Start without waiting for anything."""
        self._terminal = Terminal()
        ports = ("--web-port", str(own_port()), "--nats-port", str(own_port()))
        self._process = subprocess.Popen(
            [*self._command(), "up", "--data", str(self.data), *ports, *self._options],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._terminal.show(self._process.stdout)

    def wait_for(self, words: str, *, times: int = 1) -> str:
        """Return the line of the terminal with these words, at once or when it appears."""
        return self._terminal.wait_for(words, times)

    @property
    def output(self) -> str:
        """What the terminal has shown so far."""
        return "".join(self._terminal.lines)

    @property
    def run_file(self) -> dict[str, Any]:
        """What run.json says now."""
        content: dict[str, Any] = json.loads((self.data / "run.json").read_text())
        return content

    def pid(self, service: str) -> int:
        """Return the pid of a service that is one process, once it has one."""
        until = time.monotonic() + LIMIT_S
        while (pid := self.run_file["services"][service]["pid"]) is None:
            assert time.monotonic() < until, f"{service} is not started again"
            time.sleep(0.01)
        return int(pid)

    def parley(
        self, *arguments: str, text: str | None = None, into: IO[str] | int = subprocess.PIPE
    ) -> subprocess.CompletedProcess[str]:
        """Run another command on this house and return what it said; `text` is its input."""
        return subprocess.run(
            [*self._command(), *arguments],
            env=self._environment,
            input=text,
            stdout=into,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=LIMIT_S,
        )

    def following(self, *arguments: str) -> subprocess.Popen[str]:
        """Start another command on this house and return it; the caller ends it."""
        return subprocess.Popen(
            [*self._command(), *arguments],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def stop(self) -> int:
        """Ask it to stop and return its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the launcher as with kill -9, if it runs."""
        if self._process:
            self._end(signal.SIGKILL)

    def wait(self) -> int:
        """Return the exit code when it has ended by itself."""
        assert self._process
        return self._process.wait(LIMIT_S)

    @contextmanager
    def unattended(self) -> Iterator[None]:
        """Let the launcher stand still, so that what dies meanwhile stays away."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        yield
        self._process.send_signal(signal.SIGCONT)

    def _end(self, by: signal.Signals) -> int:
        assert self._process
        self._process.send_signal(by)
        return self._process.wait(LIMIT_S)

    def _command(self) -> list[str]:
        return [sys.executable, "-I", "-m", "parley_launcher"]


def _clean_environment(data: Path, extra: dict[str, str]) -> dict[str, str]:
    """Return this process's environment without a developer's own settings and keys."""
    kept = {name: value for name, value in os.environ.items() if not OURS.search(name)}
    own = {
        "PARLEY_DATA": str(data),
        "PARLEY_ENV_FILE": str(data.parent / "no.env"),
        "PARLEY_DISCOVER": "off",
        "PARLEY_GRACE": "5",
    }
    return {**kept, **own, **extra}
