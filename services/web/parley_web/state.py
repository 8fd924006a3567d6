"""What every handler of this service works with, built once in `__main__`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import cast

from parley_bus import Bus, Catalog, Events
from starlette.requests import HTTPConnection

from parley_web.live import LiveTurns
from parley_web.metrics import RequestCounts
from parley_web.relay import Relay
from parley_web.settings import WebSettings
from parley_web.signin import SignIns


@dataclass(frozen=True)
class AppState:
    """The parts of the running service. `stopping` is set when it is about to end."""

    settings: WebSettings
    bus: Bus
    events: Events
    catalog: Catalog
    relay: Relay
    live: LiveTurns
    sign_ins: SignIns
    counts: RequestCounts = field(default_factory=RequestCounts)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


def state_of(connection: HTTPConnection) -> AppState:
    """Return the state of the application that serves this request."""
    return cast(AppState, connection.app.state.parley)
