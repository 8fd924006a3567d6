"""One process that is kept running until it is told to stop."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic

from parley_launcher.errors import Trouble
from parley_launcher.house import Program
from parley_launcher.logs import ServiceLog, say

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 30.0
SETTLED_S = 10.0
"""Who has lived this long has started; a death after it begins a new row of pauses."""
LAST_WORDS_S = 1.0
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


class Process:
    """Starts a program, starts it again when it dies, stops it."""

    def __init__(
        self, program: Program, label: str, logs: Path, changed: Callable[[], None]
    ) -> None:
        self._program = program
        self._label = label
        self._log = ServiceLog(label, logs)
        self._changed = changed
        self._stopping = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process and alive else None

    async def run(self) -> None:
        """Keep it running until `stop`.

        Raises Trouble when it gives up by itself right after its first start: what stands in its
        way then, stands there for the next attempt too.
        """
        pause, first = FIRST_PAUSE_S, True
        while not self._stopping.is_set():
            began = monotonic()
            try:
                code = await self._run_once()
                ended, refused, why = _reason(code), code > 0, self._log.last
            except OSError as error:
                ended = why = str(error.strerror)
                refused = True
            if self._stopping.is_set():
                return
            settled = monotonic() - began > SETTLED_S
            if first and refused and not settled:
                raise Trouble(f"{self._label} cannot start: {why.rstrip('.')}")
            pause, first = FIRST_PAUSE_S if settled else pause, False
            say(self._label, f"ended ({ended}); starting it again in {pause:g} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def stop(self) -> None:
        """Ask it to stop, and kill it when its grace is over."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), self._program.grace)
        except TimeoutError:
            say(self._label, f"did not stop within {self._program.grace:g} s and was killed")
            self.kill()
            await process.wait()

    def kill(self) -> None:
        """End it at once, for good."""
        self._stopping.set()
        if self._process and self._process.returncode is None:
            self._process.kill()

    async def _run_once(self) -> int:
        """Run it until it ends; return its exit code. Raises OSError when it cannot be made."""
        launcher = os.getpid()
        output, into = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._program.command,
                env=self._program.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=into,
                stderr=into,
                # Ctrl-C is for the launcher, which stops the services in order.
                start_new_session=True,
                preexec_fn=lambda: _die_with(launcher),
            )
        except OSError:
            os.close(output)
            raise
        finally:
            os.close(into)
        if self._stopping.is_set():
            self._process.kill()
        self._changed()
        reading = asyncio.create_task(self._log.follow(output))
        code = await self._process.wait()
        self._changed()
        _end_session(self._process.pid)
        # A program that it started and that left its session may hold the pipe open.
        await asyncio.wait([reading], timeout=LAST_WORDS_S)
        reading.cancel()
        return code


def _die_with(launcher: int) -> None:
    """Have the kernel kill this new process when the launcher dies (rule 19), where it can."""
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != launcher:
            os._exit(1)


def _end_session(leader: int) -> None:
    """Kill what a service that has ended had started: nobody waits for it any more."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            _, _, _, session, *_ = stat.read_text().rpartition(")")[2].split()
            if int(session) == leader:
                os.kill(int(stat.parent.name), signal.SIGKILL)


def _reason(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
