"""What the services of a house take of the machine's memory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from house import House


def resident_mib(house: House, services: Iterable[str]) -> dict[str, int]:
    """Return how much each service has in memory now, in MiB."""
    return {each: _resident(house.pid(each)) for each in services}


def _resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [line] = [each for each in lines if each.startswith("VmRSS:")]
    return int(line.split()[1]) // 1024
