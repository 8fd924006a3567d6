"""Two tools with a visible effect: every run leaves lines in the file `runs` beside this one.

The workers read a copy of this file from the folder of the run.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from secrets import token_hex

from parley_agent_worker.tools.tool import tool

RUNS = Path(__file__).with_name("runs")


async def note(key: str, seconds: float = 0.0) -> str:
    """Write a key down. This changes something."""
    return await _run("note", key, seconds)


async def look(key: str, seconds: float = 0.0) -> str:
    """Look a key up. This changes nothing."""
    return await _run("look", key, seconds)


async def _run(name: str, key: str, seconds: float) -> str:
    run = token_hex(4)
    _write(run, key, name, "began")
    await asyncio.sleep(seconds)
    _write(run, key, name, "ended")
    return f"{name} {key} {run}"


def _write(run: str, key: str, name: str, phase: str) -> None:
    """Append one line at once, so that processes do not mix theirs."""
    line = {"at": time.time(), "run": run, "key": key, "tool": name, "phase": phase}
    file = os.open(RUNS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
    finally:
        os.close(file)


NOTE = tool(note)
LOOK = tool(look, repeatable=True)
