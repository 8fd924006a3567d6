"""A turn as one user sees it: first token, delay a token, end, whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from bench.conversations import Turn
from bench.lab import BURST, PACED, Lab, by_turns, conversation, warm_up
from bench.report import Row, Target, median, percentile

Turns = Mapping[str, list[Turn]]


async def one_user(lab: Lab) -> list[Row]:
    """Measure turns at a reader's pace, then turns of 100 tokens from a model without delay."""
    async with lab.parley() as parley:
        systems = (lab.model, lab.relay, parley)
        await warm_up(*systems)
        paced_turns, burst_turns = lab.times(10, 3), lab.times(20, 5)
        rounds = lab.times(8, 1)
        paced = await by_turns(
            systems, rounds, partial(conversation, model=PACED, turns=paced_turns)
        )
        burst = await by_turns(
            systems, rounds, partial(conversation, model=BURST, turns=burst_turns)
        )
    return [*_paced(paced), *_burst(burst)]


def _paced(turns: Turns) -> list[Row]:
    def row(figure: str, of: Callable[[list[Turn]], float], target: Target | None = None) -> Row:
        values = {name: of(each) for name, each in turns.items()}
        return Row(figure, "ms", values, target)

    def delay(share: float) -> Callable[[list[Turn]], float]:
        return lambda each: percentile((ms for turn in each for ms in turn.delays), share)

    def overhead(share: float) -> Callable[[list[Turn]], float]:
        return lambda each: percentile((turn.overhead for turn in each), share)

    return [
        row("first token, overhead p50", overhead(0.5), Target(at_most=7, times_relay=2.5)),
        row("first token, overhead p95", overhead(0.95)),
        row("relay delay a token p50", delay(0.5), Target(at_most=1.0)),
        row("relay delay a token p95", delay(0.95), Target(at_most=1.3)),
        row("last token to done p50", lambda e: median(t.closing for t in e), Target(at_most=5)),
    ]


def _burst(turns: Turns) -> list[Row]:
    whole = {name: [turn.whole for turn in each] for name, each in turns.items()}
    p50 = {name: median(each) for name, each in whole.items()}
    p95 = {name: percentile(each, 0.95) for name, each in whole.items()}
    rate = {name: 1000 * len(each) / sum(each) for name, each in whole.items()}
    return [
        Row("turn of 100 tokens, model without delay, p50", "ms", p50, Target(at_most=20)),
        Row("turn of 100 tokens, model without delay, p95", "ms", p95),
        Row("turns/s, 1 user", "", rate),
    ]
