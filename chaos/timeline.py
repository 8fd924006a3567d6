"""What happened to one turn, and what was done to the house around it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from chaos.verdict import Run

AROUND_S = 15.0
MOST_LOG_LINES = 40


def timeline(run: Run, turn_id: str, folder: Path) -> str:
    """Return the turn's row and steps, then in order its events, its tools' runs, the faults."""
    rows = [f"  {each}" for each in run.contents.turns if each.id == turn_id]
    steps = [f"  step {each}" for each in run.contents.steps.get(turn_id, [])]
    moments = [f"  {_clock(at)}  {what}" for at, what in sorted(_moments(run, turn_id))]
    return "\n".join([*rows, *steps, *moments, *_log_lines(folder, turn_id)])


def _moments(run: Run, turn_id: str) -> Iterator[tuple[float, str]]:
    for heard in run.heard:
        if heard.data.get("turn_id") == turn_id:
            yield heard.at, f"event {heard.kind} {heard.data}"
    markers = [each.marker for each in run.sent if each.turn_id == turn_id]
    for line in run.tools:
        if line.key.rpartition("-")[0] in markers:
            yield line.at, f"{line.tool} {line.key} {line.phase} ({line.run})"
    begin, end = _span(run, turn_id)
    for fault in run.faults:
        if begin <= fault.at <= end:
            until = f" until {_clock(fault.ended_at)}" if fault.ended_at else ""
            yield fault.at, f"fault: {fault}{until}"


def _span(run: Run, turn_id: str) -> tuple[float, float]:
    for turn in run.contents.turns:
        if turn.id == turn_id:
            return turn.created_at - AROUND_S, (turn.finished_at or float("inf")) + AROUND_S
    return 0.0, float("inf")


def _log_lines(folder: Path, turn_id: str) -> list[str]:
    """Return what the services' logs say of the turn."""
    found = [
        f"  {line}"
        for log in sorted((folder / "data" / "logs").glob("*.log*"))
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
        if turn_id in line
    ]
    return sorted(found)[:MOST_LOG_LINES]


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]
