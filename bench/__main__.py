"""`./parley bench`: take the figures and print them beside their targets."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench import footprint, load, threads, turns, variants
from bench.lab import Lab
from bench.report import Row, as_json, table
from bench.systems import running_model, running_relay

FIGURES: dict[str, Callable[[Lab], Awaitable[list[Row]]]] = {
    "turn": turns.one_user,
    "load": load.many_users,
    "paced": load.paced_streams,
    "memory": footprint.memory,
    "start": footprint.cold_start,
    "threads": threads.long_threads,
    "search": threads.search,
    "workers": variants.workers,
    "databases": variants.databases,
    "brokers": variants.brokers,
}


def main(arguments: list[str]) -> int:
    """Take the figures that were asked for."""
    options = _options(arguments)
    try:
        rows = asyncio.run(_measure(options.only or list(FIGURES), quick=options.quick))
    except asyncio.CancelledError:
        print("The measurement was stopped.", file=sys.stderr)
        return 130
    print(table(rows))
    if options.json:
        options.json.write_text(as_json(rows) + "\n", encoding="utf-8")
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./parley bench",
        description="Measure Parley beside the model itself and a relay that stores nothing.",
    )
    parser.add_argument(
        "--only", nargs="+", choices=FIGURES, metavar="NAME", help=f"of {', '.join(FIGURES)}"
    )
    parser.add_argument("--quick", action="store_true", help="few repetitions, rough figures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    return parser.parse_args(arguments)


async def _measure(names: list[str], *, quick: bool) -> list[Row]:
    measuring = asyncio.current_task()
    assert measuring
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, measuring.cancel)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        async with running_model() as model, running_relay(model) as relay:
            lab = Lab(model, relay, Path(folder), quick)
            for name in names:
                print(f"measuring: {name}", file=sys.stderr, flush=True)
                rows += await FIGURES[name](lab)
    return rows


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
