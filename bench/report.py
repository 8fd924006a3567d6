"""Figures beside their targets, as a table for people and as JSON for comparisons."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SYSTEMS = ("direct", "relay", "parley")


@dataclass(frozen=True)
class Target:
    """What Parley is to reach; `times_relay` is an upper bound of its ratio to the relay."""

    at_most: float | None = None
    at_least: float | None = None
    times_relay: float | None = None

    def reached(self, values: Mapping[str, float]) -> bool:
        """Tell whether all that the target says holds."""
        value, relay = values["parley"], values.get("relay")
        return (
            (self.at_most is None or value <= self.at_most)
            and (self.at_least is None or value >= self.at_least)
            and (self.times_relay is None or (relay or 0) * self.times_relay >= value)
        )

    def __str__(self) -> str:
        parts = (
            (self.at_most, "≤ {:g}"),
            (self.at_least, "≥ {:g}"),
            (self.times_relay, "≤ {:g} × relay"),
        )
        return ", ".join(form.format(value) for value, form in parts if value is not None)


@dataclass(frozen=True)
class Row:
    """One figure of the systems it was taken of; `note` says what a number cannot."""

    figure: str
    unit: str
    values: Mapping[str, float]
    target: Target | None = None
    note: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    """For the JSON alone."""

    @property
    def reached(self) -> bool | None:
        """Whether Parley reaches the target; None when there is none."""
        measured = "parley" in self.values
        return self.target.reached(self.values) if self.target and measured else None

    @property
    def ratio(self) -> float | None:
        """Parley's figure by the relay's."""
        relay = self.values.get("relay")
        return self.values["parley"] / relay if relay and "parley" in self.values else None


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value that `share` (0 to 1) of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def median(values: Iterable[float]) -> float:
    """Return the middle value."""
    return percentile(values, 0.5)


def table(rows: Iterable[Row]) -> str:
    """Return the figures as lines of aligned columns."""
    head = ("figure", *SYSTEMS, "× relay", "target", "")
    lines = [head, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(_aligned(line, widths) for line in lines)


def as_json(rows: Iterable[Row]) -> str:
    """Return the figures, and what they were taken on."""
    figures = [{**asdict(row), "ratio": row.ratio, "reached": row.reached} for row in rows]
    return json.dumps({"machine": _machine(), "figures": figures}, indent=2, ensure_ascii=False)


def _cells(row: Row) -> tuple[str, ...]:
    verdict = {True: "reached", False: "NOT reached", None: ""}[row.reached]
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return (
        f"{row.figure}, {row.unit}" if row.unit else row.figure,
        *(_number(row.values.get(each)) for each in SYSTEMS),
        ratio,
        str(row.target or ""),
        "  ".join(each for each in (verdict, row.note) if each),
    )


def _aligned(cells: tuple[str, ...], widths: list[int]) -> str:
    figure, *numbers, target, remark = cells
    middle = [cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=False)]
    parts = [figure.ljust(widths[0]), *middle, target.ljust(widths[-2]), remark]
    return "  ".join(parts).rstrip()


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"


def _machine() -> dict[str, Any]:
    model = next(
        (line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "",
    )
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processors": os.cpu_count(),
        "processor": model.partition(": ")[2],
        "python": platform.python_version(),
        "system": platform.platform(),
        "load": os.getloadavg(),
    }
