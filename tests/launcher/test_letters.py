"""What nothing can read is taken out of its slot, kept with its bytes, shown, and removed."""

from __future__ import annotations

import json
from base64 import b64decode

import httpx2
from eventually import eventually
from house import LIMIT_S, House
from parley_bus import Bus, NatsContext, jetstream
from parley_contracts.subjects import TURNS
from parley_launcher.broker import context_file
from parley_launcher.folder import DataFolder

GARBAGE = b'{"turn_id": \x00\xff\xfe'


async def test_what_nothing_can_read_reaches_the_owner(house: House) -> None:
    context = NatsContext.read(context_file(DataFolder(house.data), "gateway"))
    bus = await Bus.connect(context, name="gateway")
    sequence = await jetstream.store(bus, TURNS.subject("nowhere"), GARBAGE)
    await bus.close()
    letter = f"PARLEY_TURNS-{sequence}"
    headers = {"Authorization": f"Bearer {house.token}"}
    async with httpx2.AsyncClient(base_url=house.url, headers=headers, timeout=LIMIT_S) as api:

        async def kept() -> bool:
            return (await api.get(f"/api/letters/{letter}")).status_code == 200

        await eventually(kept)
        found = (await api.get(f"/api/letters/{letter}")).json()
        assert b64decode(found["payload"]) == GARBAGE
        assert letter in house.parley("letters").stdout
        assert "dead letters: 1;" in house.parley("status").stdout
        [listed] = json.loads(house.parley("letters", "--json").stdout)["letters"]
        assert listed["start"] == '{"turn_id": \\x00\\xff\\xfe'
        written = house.parley("letters", letter).stdout
        assert written.encode("utf-8", "surrogateescape") == GARBAGE
        assert (await api.delete(f"/api/letters/{letter}")).status_code == 204
        assert (await api.get(f"/api/letters/{letter}")).status_code == 404
    assert house.parley("letters").stdout == "no dead letters\n"
    assert "dead letters" not in house.parley("status").stdout
