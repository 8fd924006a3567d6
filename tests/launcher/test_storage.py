"""A whole house whose storage fails: it says so, stores all that it accepts, and goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from broken_storage import SmallDisk, damage, small_disk
from eventually import eventually
from house import House

FULL = "disk that holds Parley's database is full; free some space"
LOCKED = "Another program holds Parley's database locked; close it"
DAMAGED = "Parley's database is damaged; stop Parley and restore a backup with './parley restore"


class Owner:
    """The owner's program, with a thread of its own."""

    def __init__(self, house: House) -> None:
        headers = {"Authorization": f"Bearer {house.token}"}
        self.api = httpx2.AsyncClient(base_url=house.url, headers=headers, timeout=60)
        self.accepted: list[str] = []
        self.thread = ""

    async def send(self, text: str) -> str:
        """Send a message; return why it was refused, or nothing."""
        if not self.thread:
            made = await self.api.post("/api/threads", json={"agent_id": "echo"})
            self.thread = made.json()["id"]
        body = {"text": f"[[think x]]{text}"}
        answer = await self.api.post(f"/api/threads/{self.thread}/messages", json=body)
        if answer.status_code == 202:
            self.accepted.append(answer.json()["message"]["id"])
            return ""
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.status_code == 503
        return str(answer.json()["detail"])

    async def hears(self, words: str) -> bool:
        """Whether the house says that it is not well, and why."""
        answer = await self.api.get("/readyz")
        return answer.status_code == 503 and words in answer.json()["detail"]

    async def view(self) -> dict[str, Any]:
        """Return the thread."""
        opened = await self.api.get(f"/api/threads/{self.thread}?limit=500")
        found: dict[str, Any] = opened.json()
        return found

    async def is_up(self) -> bool:
        """Whether the page answers at all."""
        try:
            return (await self.api.get("/healthz")).status_code == 200
        except httpx2.ConnectError:
            return False

    async def is_well(self) -> bool:
        return (await self.api.get("/readyz")).status_code == 200

    async def all_are_answered(self) -> bool:
        """Whether the thread holds exactly what was accepted, each message with its answer."""
        view = await self.view()
        asked = [each["id"] for each in view["messages"] if each["role"] == "user"]
        answers = [each for each in view["messages"] if each["role"] == "agent"]
        done = {each["status"] for each in answers} == {"complete"}
        return done and asked == self.accepted and len(answers) == len(asked)


def status_says(house: House, words: str) -> bool:
    """Whether the terminal says so too."""
    shown = house.parley("status")
    return shown.returncode == 1 and words in shown.stdout


async def broker_is_full(house: House) -> bool:
    """Whether it said so, or its events began anew, maybe in the room that the old ones left."""
    return any(words in house.output for words in ("no space left on device", "it begins anew"))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", "48m") as mounted:
        yield mounted


@pytest.mark.parametrize("killed", ["gateway", "nats"])
async def test_a_full_disk_is_named_and_when_there_is_room_it_goes_on(
    disk: SmallDisk, make_house: Callable[..., House], killed: str
) -> None:
    house = make_house(data=disk.path / "data").start()
    owner = Owner(house)
    assert await owner.send("before") == ""
    assert await owner.send("[[slow 0.05]] [[long 500]]") == ""
    assert await owner.send("waits") == ""
    disk.fill()
    # What fits into the files as they are is still taken, and then answered.
    while not (refused := await owner.send("much" * 5000)):
        continue
    assert FULL in refused
    await eventually(lambda: owner.hears(FULL))
    await eventually(lambda: asyncio.to_thread(status_says, house, FULL))
    # The answer that runs is told on by events, which the broker cannot store either.
    await eventually(lambda: broker_is_full(house))
    os.kill(house.pid(killed), signal.SIGKILL)
    house.wait_for("starting it again")
    disk.make_room()
    await eventually(owner.is_well)
    assert await owner.send("after") == ""
    await eventually(owner.all_are_answered)
    streamed = house.parley("send", "--agent", "echo", "[[think x]]events flow again")
    assert (streamed.returncode, streamed.stdout) == (0, "events flow again\n")
    house.stop()


async def test_while_another_program_holds_the_database_it_refuses_and_then_goes_on(
    make_house: Callable[..., House],
) -> None:
    house = make_house().start()
    owner = Owner(house)
    assert await owner.send("before") == ""
    await eventually(owner.all_are_answered)
    with closing(sqlite3.connect(house.data / "parley.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert LOCKED in await owner.send("refused")
        await eventually(lambda: owner.hears(LOCKED))
        assert len((await owner.view())["messages"]) == 2, "reading goes on"
    await eventually(owner.is_well)
    assert await owner.send("after") == ""
    await eventually(owner.all_are_answered)


async def test_a_damaged_page_is_named_and_a_backup_heals(
    make_house: Callable[..., House], tmp_path: Path
) -> None:
    house = make_house().start()
    owner = Owner(house)
    assert await owner.send("before") == ""
    await eventually(owner.all_are_answered)
    backup = str(tmp_path / "parley.backup")
    assert house.parley("backup", backup).returncode == 0
    house.stop()
    damage(house.data / "parley.db", "turns")
    house.begin()
    house.wait_for(DAMAGED)
    house.url = house.run_file["url"]
    ill = Owner(house)
    ill.thread = owner.thread
    await eventually(ill.is_up)
    await eventually(lambda: ill.hears(DAMAGED))
    assert DAMAGED in await ill.send("refused")
    assert status_says(house, DAMAGED)
    house.stop()
    assert house.parley("restore", backup).returncode == 0
    house.start()
    well = Owner(house)
    well.thread, well.accepted = owner.thread, owner.accepted
    assert await well.send("after") == ""
    await eventually(well.all_are_answered)


def test_a_start_without_room_ends_in_one_sentence(
    disk: SmallDisk, make_house: Callable[..., House]
) -> None:
    house = make_house(data=disk.path / "data").start()
    house.stop()
    disk.fill()
    house.begin()
    assert house.wait() == 1
    assert "Traceback" not in house.output
    assert "No space left on device; make room" in house.wait_for("cannot be written")
    disk.make_room()
    house.start()
    house.stop()


def test_a_file_that_cannot_be_opened_ends_the_start_in_one_sentence(
    make_house: Callable[..., House],
) -> None:
    house = make_house()
    house.data.mkdir()
    (house.data / "parley.db").write_bytes(b"\xff" * 20_000)
    house.begin()
    assert house.wait() == 1
    line = house.wait_for("gateway cannot start")
    assert DAMAGED in line


async def test_a_damaged_store_of_the_broker_begins_anew(
    make_house: Callable[..., House], tmp_path: Path
) -> None:
    house = make_house(data=tmp_path / "damaged").start()
    assert house.parley("send", "--agent", "echo", "[[think x]]before").returncode == 0
    house.stop()
    for file in (house.data / "nats" / "jetstream").rglob("*"):
        if file.is_file():
            file.write_bytes(b"nonsense" * 100)
    house.start()
    house.wait_for("is damaged; it begins anew")
    sent = house.parley("send", "--agent", "echo", "[[think x]]after")
    assert (sent.returncode, sent.stdout) == (0, "after\n")
    house.stop()
