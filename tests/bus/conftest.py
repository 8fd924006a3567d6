"""The bus suite runs against the embedded server and, where an engine answers, a container."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import docker
import pytest
from broker import Broker
from container_broker import ContainerBroker
from parley_bus import Bus, jetstream, make_topology
from parley_contracts.subjects import TURNS

Connect = Callable[[str], Awaitable[Bus]]


@pytest.fixture(scope="session")
def engine() -> None:
    """Skip where no container engine answers; in CI it has to."""
    try:
        docker.from_env().ping()
    except docker.errors.DockerException as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no container engine answers: {error}")


@pytest.fixture(scope="session")
def contained(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerBroker]:
    """One container for the session."""
    server = ContainerBroker(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.remove()


@pytest.fixture(params=["embedded", "container"])
async def broker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Broker]:
    """A running broker without any stream."""
    if request.param == "container":
        contained: ContainerBroker = request.getfixturevalue("contained")
        contained.start()
        await _clear(contained)
        yield contained
        return
    embedded = Broker(tmp_path / "nats")
    embedded.start()
    yield embedded
    embedded.kill()


async def _clear(broker: Broker) -> None:
    """Delete what the test before has left."""
    bus = await Bus.connect(broker.context("gateway"), name="clear")
    for stream in (await jetstream.call(bus, "STREAM.NAMES"))["streams"] or ():
        await jetstream.call(bus, f"STREAM.DELETE.{stream}")
    await bus.close()


@pytest.fixture
async def connect(broker: Broker) -> AsyncIterator[Connect]:
    """Connect as a service; connections are closed after the test."""
    made: list[Bus] = []

    async def as_service(service: str) -> Bus:
        made.append(await Bus.connect(broker.context(service), name=service))
        return made[-1]

    yield as_service
    for bus in reversed(made):
        await bus.close()


@pytest.fixture
async def gateway(connect: Connect) -> Bus:
    """The gateway's connection, with all streams made."""
    bus = await connect("gateway")
    await make_topology(bus)
    return bus


@pytest.fixture
def redeliver_after(gateway: Bus) -> Callable[[int], Awaitable[None]]:
    """Let the server give unacknowledged turns to another after so many seconds."""

    async def after(seconds: int) -> None:
        name = f"{TURNS.name}.{TURNS.durable}"
        config = (await jetstream.call(gateway, f"CONSUMER.INFO.{name}"))["config"]
        config["ack_wait"] = seconds * 1_000_000_000
        request = {"stream_name": TURNS.name, "config": config, "action": "update"}
        await jetstream.call(gateway, f"CONSUMER.CREATE.{name}", request)

    return after


@pytest.fixture
async def quick_redelivery(redeliver_after: Callable[[int], Awaitable[None]]) -> None:
    """Let unacknowledged turns come again sooner than they do in earnest."""
    await redeliver_after(1)


@pytest.fixture
async def no_redelivery(redeliver_after: Callable[[int], Awaitable[None]]) -> None:
    """Let no turn come again within a test, unless it is given back."""
    await redeliver_after(600)


@pytest.fixture
async def worker(connect: Connect) -> Bus:
    """A worker's connection."""
    return await connect("agent-worker")


@pytest.fixture
async def web(connect: Connect) -> Bus:
    """A web process's connection."""
    return await connect("web")


@pytest.fixture
async def owner(connect: Connect) -> Bus:
    """The connection of the person at the terminal."""
    return await connect("owner")
