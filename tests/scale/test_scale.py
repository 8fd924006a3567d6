"""One machine is not the limit: a scaled house under load while any of its processes dies.

It is three NATS servers that keep everything three times, PostgreSQL, two gateways, three workers
and two webs.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
from parley_bus import Bus, NatsContext, jetstream
from parley_contracts.subjects import CATALOG_BUCKET, DELIVERIES, EVENTS, TURNS
from pressure import Pressure
from scaled import ready

from chaos.figures import figures
from chaos.house import Place
from chaos.scaled import COPIES, ScaledHouse, scaled_house
from chaos.session import Plan, hurt
from chaos.verdict import BREACHES, Run, breaches

pytestmark = [
    pytest.mark.scale,
    pytest.mark.timeout(800),
    pytest.mark.usefixtures("postgres_engine"),
]

PLAN = Plan(turns=60, seed=26, scale=True)
THREADS = 3
STREAMS = (TURNS.name, DELIVERIES.name, EVENTS.name, f"KV_{CATALOG_BUCKET}")
STAY_AWAY: tuple[Place, ...] = (("gateway", 0), ("web", 1))
COME_BACK: tuple[Place, ...] = (("gateway", 1), ("postgres", 0))


async def test_the_house_goes_on_without_any_one_process(tmp_path: Path) -> None:
    async with scaled_house(tmp_path) as house:
        await ready(house)
        pressure = Pressure(house.urls[0], house.token)
        async with pressure.on(THREADS):
            await pressure.progress()
            assert await replicas(house) == dict.fromkeys(STREAMS, COPIES["nats"])
            for place in (await leader(house, TURNS.name), *STAY_AWAY):
                async with pressure.fault(f"{place} away"), house.away(place):
                    await pressure.progress()
            for place in (await leader(house, EVENTS.name), *COME_BACK):
                async with pressure.fault(f"{place} killed"):
                    await house.send(place, await house.alive(*place), SIGKILL)
        count = await pressure.count()
    print(pressure.table(count))
    assert (count.lost, count.doubled, count.out_of_order, count.failed) == (0, 0, 0, 0)


def test_chaos_breaks_no_promise_of_a_scaled_house(tmp_path: Path) -> None:
    assert asyncio.run(hurt(PLAN, tmp_path)) == []
    run = Run.read(tmp_path)
    assert breaches(run) == []
    told = figures(run, [])
    assert {told[each] for each in BREACHES} == {"0"}
    assert int(told["answered"]) > PLAN.turns / 2


async def leader(house: ScaledHouse, stream: str) -> Place:
    """Return the server that leads a stream."""
    name = (await _cluster(house, stream))["leader"]
    return "nats", int(name.rpartition("-")[2]) - 1


async def replicas(house: ScaledHouse) -> dict[str, int]:
    """Return how often each stream is kept."""
    return {each: 1 + len((await _cluster(house, each))["replicas"]) for each in STREAMS}


async def _cluster(house: ScaledHouse, stream: str) -> dict[str, Any]:
    context = NatsContext.read(house.context_file("owner")).at(house.nats_url)
    bus = await Bus.connect(context, name="owner")
    try:
        info = await jetstream.call(bus, f"STREAM.INFO.{stream}")
        cluster: dict[str, Any] = info["cluster"]
        return cluster
    finally:
        await bus.close()
