"""What is printed beside the breaches: counts, and how long the house took to come back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from parley_bus.failpoints import FAILPOINTS

from chaos.database import Contents
from chaos.records import Fault
from chaos.verdict import BREACHES, Breach, Run


@dataclass(frozen=True)
class Recovery:
    """How long the house took to come back from a fault."""

    seconds: float
    fault: Fault


def longest_recovery(run: Run) -> Recovery | None:
    """Return the longest recovery from a fault.

    A recovery is the time from the blow to the next end of a turn that was due, which is one that
    was accepted before the blow and had not ended. The time for which a frozen process stood still
    is part of it. A fault that struck when nothing was due has none.
    """
    found = [Recovery(seconds, each) for each in run.faults if (seconds := _recovery(each, run))]
    return max(found, key=lambda each: each.seconds, default=None)


def _recovery(fault: Fault, run: Run) -> float | None:
    ends = [
        each.finished_at
        for each in run.contents.turns
        if each.finished_at and each.created_at <= fault.at < each.finished_at
    ]
    return min(ends) - fault.at if ends else None


def figures(run: Run, found: list[Breach]) -> dict[str, str]:
    """Return what is printed at the end, by name."""
    turns = {each.id: each for each in run.contents.turns}
    mine = [turns[each.turn_id] for each in run.sent if each.turn_id in turns]
    status = Counter(each.status for each in mine)
    waits = [each.finished_at - each.created_at for each in mine if each.finished_at]
    kinds = Counter(each.kind for each in found)
    recovery = longest_recovery(run)
    return {
        "faults": str(len(run.faults)),
        "failpoints": f"{_points_met(run)} of {len(FAILPOINTS)}",
        "accepted": str(len(run.sent)),
        "answered": str(status["completed"]),
        "failed as scripted": str(status["failed"] - kinds["failed"]),
        "stopped or taken back": str(status["cancelled"]),
        "tool runs": str(sum(each.phase == "began" for each in run.tools)),
        "outcomes unknown": str(_unknown_outcomes(run.contents)),
        **{each: str(kinds[each]) for each in BREACHES},
        "longest recovery": f"{recovery.seconds:.1f} s ({recovery.fault})" if recovery else "–",
        "longest turn": f"{max(waits, default=0):.1f} s",
    }


def _points_met(run: Run) -> int:
    """Count the failpoints at which a process was struck."""
    return len(set(FAILPOINTS) & {each.target.partition(" ")[0] for each in run.faults})


def _unknown_outcomes(contents: Contents) -> int:
    """Count the answers that say that nobody knows what became of a call."""
    return sum(
        part["type"] == "tool" and part["status"] == "unknown"
        for message in contents.messages
        if message.role == "agent"
        for part in message.body.get("parts", ())
    )
