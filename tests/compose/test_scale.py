"""The profile `scale`: three NATS servers, PostgreSQL, two gateways, three workers, two webs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from api_client import Api
from compose_house import ComposeHouse
from eventually import eventually
from house import House
from moved_house import Moving, packed, seen
from pressure import Pressure

pytestmark = pytest.mark.compose

THREADS = 6


@pytest.fixture(scope="module")
def moving(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Moving:
    """A backup of a house on one machine, whose database is SQLite."""
    folder = tmp_path_factory.mktemp("one-machine")
    return packed(House(folder / "data"), folder / "there.backup")


@pytest.fixture(scope="module")
def scaled(clone: Path, moving: Moving) -> Iterator[ComposeHouse]:
    """A running house of the profile that took the backup along, on ports that were free."""
    house = ComposeHouse(clone, "scale")
    try:
        house.up("postgres")
        house.restore(moving.backup, "--no-deps")
        house.up()
        yield house
    finally:
        house.remove()


def test_a_backup_goes_into_postgresql_and_back(
    scaled: ComposeHouse, moving: Moving, make_house: Callable[..., House], tmp_path: Path
) -> None:
    assert seen(scaled.entrance, moving.cookies) == moving.saw
    scaled.backup(tmp_path / "back.backup")
    house = make_house()
    answer = house.parley("restore", str(tmp_path / "back.backup"))
    assert answer.returncode == 0, answer.stderr
    house.start()
    assert seen(house.url, moving.cookies) == moving.saw


def test_nothing_listens_beyond_loopback(scaled: ComposeHouse) -> None:
    assert set(scaled.published()) == {
        ("127.0.0.1", str(scaled.port)),
        ("127.0.0.1", str(scaled.entrance_port)),
    }


def test_nothing_runs_as_root(scaled: ComposeHouse) -> None:
    for container in scaled.containers():
        shown = scaled.run("docker", "top", container, "-eo", "pid,uid,comm").splitlines()
        # Who starts PostgreSQL as another user may stay to watch it.
        roots = [line.split()[2] for line in shown if line.split()[1] == "0"]
        assert roots in ([], ["runuser"]), shown


def test_no_container_can_write_to_its_root_file_system(scaled: ComposeHouse) -> None:
    for each in scaled.inspect(*scaled.containers()):
        assert each["HostConfig"]["ReadonlyRootfs"], each["Name"]


async def test_three_workers_are_at_work(scaled: ComposeHouse) -> None:
    api = Api(scaled.entrance, scaled.token)

    async def three_show_themselves() -> bool:
        return len((await api.call("GET", "/api/catalog"))["workers"]) == 3

    await eventually(three_show_themselves)


async def test_what_one_web_accepts_the_other_one_shows(scaled: ComposeHouse) -> None:
    assert scaled.link("web-2", scaled.entrance) == scaled.token
    first = Api(scaled.url, scaled.token)
    thread = await first.new_thread(title="seen through both")
    await first.ask(thread, "hello")
    answers = {await _through_the_entrance(scaled, thread) for _ in range(4)}
    assert answers == {"hello"}


async def _through_the_entrance(house: ComposeHouse, thread: str) -> str:
    """Read the thread's answer by a connection of its own; they go to both webs in turn."""
    api = Api(house.entrance, house.token)
    page = await api.call("GET", f"/api/threads/{thread}")
    return str(page["messages"][-1]["text"])


async def test_every_accepted_message_is_answered_once_and_in_order_whatever_dies(
    scaled: ComposeHouse, show_table: Callable[[str], None]
) -> None:
    pressure = Pressure(scaled.entrance, scaled.token)
    async with pressure.on(THREADS):
        for service in ("nats", "nats-2", "gateway", "gateway-2", "postgres", "web-2"):
            async with pressure.fault(f"{service} killed and away"):
                await asyncio.to_thread(scaled.compose, "kill", service)
                if service != "postgres":
                    await pressure.progress()
                await asyncio.to_thread(scaled.compose, "start", service)
                (container,) = scaled.containers(service)
                await asyncio.to_thread(scaled.await_health, "healthy", container)
    count = await pressure.count()
    show_table("profile scale\n" + pressure.table(count))
    assert (count.lost, count.doubled, count.out_of_order, count.failed) == (0, 0, 0, 0)
