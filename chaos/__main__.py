"""`./parley chaos`: hurt a Parley at random, then judge what became of every message."""

from __future__ import annotations

import argparse
import asyncio
import math
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from chaos.figures import figures
from chaos.scaled import NoEngine
from chaos.session import Plan, hurt
from chaos.timeline import timeline
from chaos.verdict import Run, breaches

MOST_TIMELINES = 5


def main(arguments: list[str]) -> int:
    """Run, print the verdict, and return 1 when a promise was broken."""
    options = _options(arguments)
    plan = Plan(
        turns=options.turns, seed=options.seed, minutes=options.minutes, scale=options.scale
    )
    folder = Path(tempfile.mkdtemp(prefix="parley-chaos-"))
    print(f"seed {plan.seed}, {plan.turns} turns, {plan.faults} faults, in {folder}", flush=True)
    try:
        troubles = asyncio.run(_interruptible(plan, folder))
    except NoEngine as reason:
        print(reason, file=sys.stderr)
        return 1
    except (asyncio.CancelledError, KeyboardInterrupt):
        print(f"stopped; what there is lies in {folder}", file=sys.stderr)
        return 130
    return judge(folder, plan, troubles, keep=options.keep)


def judge(folder: Path, plan: Plan, troubles: list[str], *, keep: bool = False) -> int:
    """Print the verdict on a run and return the exit code.

    When the promise was kept, the folder goes, unless it is to be kept, too.
    """
    run = Run.read(folder)
    found = breaches(run)
    for name, value in figures(run, found).items():
        print(f"{name:24}{value}")
    for trouble in troubles:
        print(f"trouble: {trouble}")
    if not found and not troubles:
        if not keep:
            shutil.rmtree(folder)
        return 0
    for each in found:
        print(f"{each.kind}: {each.what}")
    for turn_id in list(dict.fromkeys(each.turn_id for each in found if each.turn_id))[
        :MOST_TIMELINES
    ]:
        print(f"turn {turn_id}:\n{timeline(run, turn_id, folder)}")
    print(f"NOT kept, with seed {plan.seed}; everything lies in {folder}")
    return 1


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./parley chaos",
        description="Kill, freeze and restart the processes of a Parley of its own while people"
        " talk to it, then read what became of every message. Exit 1: a promise was broken.",
    )
    parser.add_argument("--turns", type=_turns, default=200, help="how many turns (200)")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(1_000_000), help="repeats the same decisions"
    )
    parser.add_argument("--minutes", type=_minutes, help="begin nothing new after so long")
    parser.add_argument(
        "--scale",
        action="store_true",
        help="three NATS servers, PostgreSQL in a container, two gateways, three workers, two webs",
    )
    parser.add_argument("--keep", action="store_true", help="keep the folder of a good run, too")
    return parser.parse_args(arguments)


def _turns(written: str) -> int:
    if not written.isdecimal() or int(written) < 1:
        raise argparse.ArgumentTypeError(f"{written} is no number of turns; give 1 or more.")
    return int(written)


def _minutes(written: str) -> float:
    try:
        minutes = float(written)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < math.inf:
        raise argparse.ArgumentTypeError(f"{written} is no number of minutes; give more than 0.")
    return minutes


async def _interruptible(plan: Plan, folder: Path) -> list[str]:
    running = asyncio.current_task()
    assert running
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    return await hurt(plan, folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
