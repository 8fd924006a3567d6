"""The catalogue: workers show themselves, are renewed, taken out, or fade."""

from __future__ import annotations

from eventually import eventually
from parley_bus import Bus, Catalog, jetstream
from parley_contracts.base import now
from parley_contracts.catalog import CatalogEntry
from parley_contracts.subjects import CATALOG_BUCKET


def entry(worker_id: str, *, running: int = 0) -> CatalogEntry:
    return CatalogEntry(
        worker_id=worker_id, slots=4, running=running, started_at=now(), default_model="echo:demo"
    )


async def test_entries_are_what_the_workers_showed_last(
    gateway: Bus, worker: Bus, web: Bus
) -> None:
    assert await Catalog(web).entries() == []
    first, second = entry("b"), entry("a")
    for each in (entry("b", running=3), first, second):
        await Catalog(worker).put(each)
    assert await Catalog(web).entries() == [second, first]


async def test_a_worker_that_leaves_is_gone_at_once(gateway: Bus, worker: Bus, web: Bus) -> None:
    await Catalog(worker).put(entry("a"))
    await Catalog(worker).remove("a")
    await Catalog(worker).remove("never-there")
    assert await Catalog(web).entries() == []


async def test_an_entry_that_is_not_renewed_fades(gateway: Bus, worker: Bus, web: Bus) -> None:
    stream = f"KV_{CATALOG_BUCKET}"
    config = (await jetstream.call(gateway, f"STREAM.INFO.{stream}"))["config"]
    config |= {"max_age": 200_000_000, "duplicate_window": 200_000_000}
    await jetstream.call(gateway, f"STREAM.UPDATE.{stream}", config)
    await Catalog(worker).put(entry("a"))

    async def gone() -> bool:
        return not await Catalog(web).entries()

    await eventually(gone)


async def test_an_unreadable_entry_hides_no_other(gateway: Bus, worker: Bus, web: Bus) -> None:
    await jetstream.store(worker, f"$KV.{CATALOG_BUCKET}.worker.x", b'{"of": "the future"}')
    good = entry("a")
    await Catalog(worker).put(good)
    assert await Catalog(web).entries() == [good]
