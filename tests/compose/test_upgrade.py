"""`docker compose up` on the volumes that an earlier version left."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_client import Api
from compose_house import ROOT, ComposeHouse
from parley_gateway.store.migrate import REVISION

pytestmark = pytest.mark.compose

EARLIER = ROOT / "tests" / "gateway" / "fixtures" / "0.1.0"
FILL = "tar -C {house} -c . | docker compose run --rm -T --no-deps gateway tar -C /data -x"


@pytest.fixture
def upgraded(clone: Path) -> Iterator[ComposeHouse]:
    """A running house whose volume `data` version 0.1.0 has written."""
    house = ComposeHouse(clone)
    try:
        house.compose("build")
        house.run("sh", "-ec", FILL.format(house=shlex.quote(str(EARLIER / "house"))))
        house.up()
        yield house
    finally:
        house.remove()


async def test_up_migrates_what_an_earlier_version_stored(upgraded: ComposeHouse) -> None:
    assert upgraded.token == (EARLIER / "house" / "access-token").read_text().strip()
    api = Api(upgraded.url, upgraded.token)
    seen = json.loads((EARLIER / "expected.json").read_text())["seen"]
    for thread in ("lived", "fork", "grandchild", "edited", "archived"):
        there = await api.call("GET", f"/api/threads/{thread}")
        told, kept = _texts(there), _texts(seen[thread])
        assert told[: len(kept)] == kept, thread
    assert f"parley.db.before-{REVISION}" in upgraded.inside("gateway", "ls", "/data").split()
    answer = await api.ask(await api.new_thread(), "goes on")
    assert answer[-1].data["message"]["text"] == "goes on"


def _texts(thread: dict[str, list[dict[str, str]]]) -> list[str]:
    return [each["text"] for each in thread["messages"]]
