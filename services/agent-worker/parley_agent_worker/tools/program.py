"""Programs that tools start: each ends with its call, whatever ends that.

A program has a process group of its own, so that what it starts goes with it. When the worker
dies the kernel ends the program, and the launcher whatever else is left.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from contextlib import suppress

from parley_agent_worker.tools.tool import ToolFailed

MOST_BYTES = 1024 * 1024
"""What is kept of what a program writes."""
_CHUNK = 64 * 1024
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


async def output_of(*command: str) -> str:
    """Run a program and return what it writes; raises ToolFailed when it fails or is not there."""
    starting = asyncio.create_task(_start(*command))
    try:
        # A start that is cancelled would leave behind what the program has started by then.
        process = await asyncio.shield(starting)
        assert process.stdout
        written = await _read(process.stdout)
        code = await process.wait()
    finally:
        if starting.done():
            _kill(starting)
        else:
            starting.add_done_callback(_kill)
    if code:
        raise ToolFailed(f"{command[0]} ended with exit code {code}: {written}")
    return written


async def _start(*command: str) -> Process:
    worker = os.getpid()
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            preexec_fn=lambda: _stand_alone(worker),
        )
    except OSError as error:
        raise ToolFailed(f"{command[0]} cannot be run: {error.strerror}.") from None


def _kill(started: asyncio.Task[Process]) -> None:
    """End a program, if it has started, and what it has started."""
    if not started.cancelled() and not started.exception():
        with suppress(ProcessLookupError):
            os.killpg(started.result().pid, signal.SIGKILL)


async def _read(stream: asyncio.StreamReader) -> str:
    """Read to the end; keep the beginning."""
    kept = bytearray()
    while piece := await stream.read(_CHUNK):
        kept += piece[: MOST_BYTES - len(kept)]
    return kept.decode(errors="replace")


def _stand_alone(worker: int) -> None:
    """Lead a group, and have the kernel kill this new process when the worker dies, if it can."""
    os.setpgid(0, 0)
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != worker:
            os._exit(1)
