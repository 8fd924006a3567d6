"""What the web suite shares: connections to a real broker, and the application over them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from api_client import Api
from broker import Broker
from house import House
from parley_bus import Bus, Catalog, Events, make_topology
from parley_web.app import create_app
from parley_web.live import LiveTurns
from parley_web.relay import Relay
from parley_web.settings import WebSettings
from parley_web.signin import SignIns
from parley_web.state import AppState


@pytest.fixture
async def gateway_bus(broker: Broker) -> AsyncIterator[Bus]:
    """The gateway's connection, with all streams made; nobody answers requests there."""
    bus = await Bus.connect(broker.context("gateway"), name="gateway")
    await make_topology(bus)
    yield bus
    await bus.close()


@pytest.fixture
async def web_bus(broker: Broker, gateway_bus: Bus) -> AsyncIterator[Bus]:
    """The web service's own connection."""
    bus = await Bus.connect(broker.context("web"), name="web")
    yield bus
    await bus.close()


@pytest.fixture
def state(web_bus: Bus) -> AppState:
    """The parts of a web service, connected; the relay does not run by itself."""
    events = Events(web_bus)
    return AppState(
        settings=WebSettings(nats_context=Path("unused"), allowed_hosts=("parley.example",)),
        bus=web_bus,
        events=events,
        catalog=Catalog(web_bus),
        relay=Relay(events),
        live=LiveTurns(events),
        sign_ins=SignIns(web_bus),
    )


@pytest.fixture
async def client(state: AppState) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the application, without a sign-in."""
    transport = httpx2.ASGITransport(create_app(state))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
async def api(house: House) -> AsyncIterator[Api]:
    """A caller of the session's house, signed in by the access token."""
    async with Api(house.url, house.token) as api:
        yield api
