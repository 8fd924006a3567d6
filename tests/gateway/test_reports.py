"""The state of the house, counted by the database."""

from __future__ import annotations

from gateway_store import Store
from parley_contracts.turns import CancelTurn
from parley_gateway.store import reports, stopping
from parley_gateway.store.claims import LEASE_S


async def test_status_counts_turns_by_what_they_wait_for(store: Store) -> None:
    counted = (await reports.status(store.database, "0")).turns
    assert counted.model_dump(exclude_none=True) == {
        "running": 0,
        "dispatched": 0,
        "queued": 0,
        "waiting": 0,
    }
    for thread in ("abandoned", "running", "stopped", "waiting", "idle"):
        await store.thread(thread)
        await store.send(thread=thread, turn_id=thread)
        await store.send(thread=thread)
        if thread == "abandoned":
            await store.begin(thread)
            store.clock.advance(2 * LEASE_S)
        elif thread != "idle":
            await store.begin(thread)
    await store.finish((await store.begin("waiting")).claim, outcome="waiting")
    await store.run(stopping.cancel, CancelTurn(id="stopped"))
    counted = (await reports.status(store.database, "0")).turns
    assert (counted.running, counted.waiting) == (2, 1)
    assert (counted.dispatched, counted.queued) == (2, 5)
    assert counted.oldest_wait_s is not None
    assert counted.oldest_wait_s >= 2 * LEASE_S
