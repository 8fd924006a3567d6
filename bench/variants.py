"""The same load on other Parleys: more workers, another database, more brokers."""

from __future__ import annotations

from functools import partial

from bench.cluster import running_cluster
from bench.lab import Lab, by_turns, warm_up
from bench.load import Load, load_rows, under_load
from bench.postgres import NoPostgres, running_postgres
from bench.processes import Program
from bench.report import Row, median
from bench.systems import Parley

USERS = 10
WORKERS = (1, 2, 4)


async def workers(lab: Lab) -> list[Row]:
    """Measure the throughput with one worker and with more."""
    rows: list[Row] = []
    for count in WORKERS[: lab.times(len(WORKERS), 1)]:
        async with lab.parley("--workers", str(count)) as parley:
            rows += await _throughput(lab, parley, f"{count} worker{'s' * (count > 1)}")
    return rows


async def databases(lab: Lab) -> list[Row]:
    """Measure the throughput on SQLite and on PostgreSQL."""
    async with lab.parley() as parley:
        rows = await _throughput(lab, parley, "SQLite")
    try:
        async with (
            running_postgres() as (server, url),
            lab.parley(DATABASE_URL=url) as parley,
        ):
            return [*rows, *await _throughput(lab, parley, "PostgreSQL", server)]
    except NoPostgres as reason:
        return [*rows, Row(f"turns/s, {USERS} users, PostgreSQL", "", {}, note=str(reason))]


async def brokers(lab: Lab) -> list[Row]:
    """Measure the throughput on the embedded broker and on a cluster of three."""
    async with lab.parley() as parley:
        rows = await _throughput(lab, parley, "one NATS server")
    async with (
        running_cluster(lab.new_folder()) as (servers, variables),
        lab.parley(**variables) as parley,
    ):
        return [*rows, *await _throughput(lab, parley, "three NATS servers", *servers)]


async def _throughput(lab: Lab, parley: Parley, what: str, *beside: Program) -> list[Row]:
    """Return the rows of one Parley, beside the relay; programs beside it count as Parley's."""
    await warm_up(lab.relay, parley)
    measure = partial(under_load, users=USERS, seconds=lab.times(5, 1))
    cpu = sum(each.cpu_ms() for each in beside)
    loads = await by_turns((lab.relay, parley), lab.times(3, 1), measure)
    cpu = sum(each.cpu_ms() for each in beside) - cpu
    return [*load_rows(f"{USERS} users, {what}", loads), _cpu(loads, what, cpu)]


def _cpu(loads: dict[str, list[Load]], what: str, beside_ms: float) -> Row:
    a_turn = {name: median(each.cpu_ms / each.turns for each in of) for name, of in loads.items()}
    a_turn["parley"] += beside_ms / sum(each.turns for each in loads["parley"])
    return Row(f"processor time a turn, {USERS} users, {what}", "ms", a_turn)
