"""`./parley test`: everything that the tests need, then the tests.

Paths among the arguments are relative to the root. Linters and type checker are tests, too.
Without arguments all of them run, in several processes, since most of them wait most of the time.
With --compose the house is tested as it runs in containers, with --scale as it runs with three NATS
servers, PostgreSQL and several of each service; either takes a container engine and minutes.
"""

from __future__ import annotations

import os
import sys

from parley_launcher import browser
from parley_launcher.install import ROOT

MOST_PROCESSES = 4
COMPOSE = ("-m", "compose", "--timeout", "800")
"""Building images and waiting for the health of containers takes more than a test's usual limit."""


def main(arguments: list[str]) -> int:
    """Become pytest, with the arguments."""
    if "--compose" in arguments:
        arguments = [*COMPOSE, *(each for each in arguments if each != "--compose")]
    elif "--scale" in arguments:
        browser.provide()
        arguments = ["-m", "scale", *arguments]
    else:
        browser.provide()
        arguments = arguments or _in_parallel()
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])


def _in_parallel() -> list[str]:
    processes = min(MOST_PROCESSES, (os.cpu_count() or 1) + 1)
    started_once = ("--max-worker-restart", "0")  # else a test that ends its process runs anew
    return ["--numprocesses", str(processes), "--dist", "loadfile", *started_once]
