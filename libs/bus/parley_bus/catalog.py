"""The bucket in which workers show themselves; an entry fades when its worker renews it no more.

It is for display. Whether a worker is alive is decided by its leases in the database.
"""

from __future__ import annotations

from parley_contracts.catalog import CatalogEntry
from parley_contracts.errors import Unavailable
from parley_contracts.subjects import CATALOG_BUCKET
from pydantic import ValidationError

from parley_bus import jetstream
from parley_bus.bus import Bus
from parley_bus.topology import CATALOG_TTL_S

_KEYS = f"$KV.{CATALOG_BUCKET}.worker"
_OPERATION = "KV-Operation"


class Catalog:
    """Puts and reads entries."""

    TTL_S = CATALOG_TTL_S
    """Seconds after which an entry fades; renew it in a third of that."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def put(self, entry: CatalogEntry) -> None:
        """Show or renew a worker; Unavailable when that failed."""
        await self._store(entry.worker_id, entry.encode(), None)

    async def remove(self, worker_id: str) -> None:
        """Take a worker out at once."""
        await self._store(worker_id, b"", {_OPERATION: "DEL"})

    async def entries(self) -> list[CatalogEntry]:
        """Return the workers that are shown now, in the order of their ids."""
        request = {"multi_last": [f"{_KEYS}.*"]}
        found, _ = await jetstream.read(self._bus, f"KV_{CATALOG_BUCKET}", request)
        entries = [_entry(each.payload) for each in found if _OPERATION not in each.headers]
        return sorted((each for each in entries if each), key=lambda each: each.worker_id)

    async def _store(self, worker_id: str, payload: bytes, headers: dict[str, str] | None) -> None:
        try:
            await jetstream.store(self._bus, f"{_KEYS}.{worker_id}", payload, headers=headers)
        except jetstream.Refused as refusal:
            raise Unavailable(f"The catalogue takes no entry: {refusal}.") from None


def _entry(payload: bytes) -> CatalogEntry | None:
    """Return the entry, or None for one that a newer or broken worker wrote."""
    try:
        return CatalogEntry.model_validate_json(payload)
    except ValidationError:
        return None
