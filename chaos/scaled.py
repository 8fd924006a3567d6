"""A scaled house on the loopback addresses of one machine, like the profile `scale`.

Three NATS servers that keep everything three times, PostgreSQL in a container, two gateways, three
workers, two webs. Each server has an address of its own, so that all have the same ports, as they
have on machines of their own.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from signal import Signals

from parley_contracts.permissions import SERVICES
from parley_gateway.store.database import database_url
from sqlalchemy import URL, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from bench.processes import HOST, ROOT
from chaos.house import POLL_S, WORKERS, Place, environment, free_ports, runs, stands_still
from chaos.members import Container, Member

COPIES = {"postgres": 1, "nats": 3, "gateway": 2, "agent-worker": WORKERS, "web": 2}
"""How many of each, in start order."""
IMAGE = "postgres:17-alpine"
OWNER = "parley"
NATS_SERVER = Path(sysconfig.get_path("scripts")) / "nats-server"
START_LIMIT_S = 120.0
_HOUSES = count()


class NoEngine(Exception):
    """Why there is no container with PostgreSQL."""


class ScaledHouse:
    """A Parley in `folder`, always on the same addresses."""

    def __init__(self, folder: Path) -> None:
        self.points = folder / "failpoints"
        self.token = secrets.token_urlsafe(24)
        self.places: tuple[Place, ...] = tuple(
            (service, number) for service, copies in COPIES.items() for number in range(copies)
        )
        self._folder = folder
        self._nodes = _addresses(COPIES["nats"])
        self.nats_url = ",".join(f"nats://{node}:4222" for node in self._nodes)
        ports = free_ports(1 + COPIES["web"] + COPIES["nats"])
        self._postgres_port, *more = ports
        self._web_ports, self._monitors = more[: COPIES["web"]], more[COPIES["web"] :]
        self.urls = tuple(f"http://{HOST}:{port}" for port in self._web_ports)
        self._container = f"parley-chaos-{secrets.token_hex(4)}"
        self._members: dict[Place, Member] = {}
        self.database: URL

    async def start(self) -> None:
        """Start it; it is up a moment later. Raises NoEngine."""
        self._make_credentials()
        password = (self._folder / "house" / "postgres" / "password").read_text().strip()
        self._make_container(password)
        address = f"{OWNER}:{password}@{HOST}:{self._postgres_port}/{OWNER}"
        self.database = database_url(self._folder, f"postgresql://{address}")
        (self._folder / "data" / "logs").mkdir(parents=True)
        self._members = {place: self._member(*place) for place in self.places}
        self._members["postgres", 0].start()
        await self._answers()
        for member in self._members.values():
            member.start()

    def _make_credentials(self) -> None:
        """Make what the containers' services get, by the same program."""
        house = self._folder / "house"
        for each in (*SERVICES, "nats", "postgres"):
            (house / each).mkdir(parents=True)
        conf = ROOT / "deploy" / "nats.conf"
        make = (sys.executable, "-m", "parley_bus.credentials", house, conf)
        subprocess.run((*make, "--nodes", *self._nodes, "--postgres", HOST), check=True)  # noqa: S603

    def _make_container(self, password: str) -> None:
        told = ("--env", f"POSTGRES_USER={OWNER}", "--env", "POSTGRES_PASSWORD")
        published = ("--publish", f"{HOST}:{self._postgres_port}:5432")
        making = subprocess.run(  # noqa: S603 (our own words)
            ("docker", "create", "--name", self._container, *told, *published, IMAGE),  # noqa: S607
            env={**os.environ, "POSTGRES_PASSWORD": password},
            capture_output=True,
            text=True,
        )
        if making.returncode:
            raise NoEngine(f"PostgreSQL needs a container engine: {making.stderr.strip()}")

    async def _answers(self) -> None:
        """Return when PostgreSQL has made its database and answers."""
        async with asyncio.timeout(START_LIMIT_S):
            while not await asyncio.to_thread(_connects, self.database):
                await asyncio.sleep(POLL_S)

    def _member(self, service: str, number: int) -> Member:
        log = self._folder / "data" / "logs" / f"{service}-{number + 1}.log"
        if service == "postgres":
            return Container(self._container, environment=os.environ, log=log)
        if service == "nats":
            return Member(*self._server(number), environment=os.environ, log=log)
        module = "parley_" + service.replace("-", "_")
        told = {**environment(self._folder, self.token), **self._told(service, number)}
        return Member(sys.executable, "-I", "-m", module, environment=told, log=log)

    def _server(self, number: int) -> tuple[str | Path, ...]:
        """Return the command of a NATS server: its own are name, addresses and store."""
        node = self._nodes[number]
        return (
            *(NATS_SERVER, "--config", self._folder / "house" / "nats" / "nats.conf"),
            *("--name", f"nats-{number + 1}"),
            *("--addr", node, "--cluster_listen", f"nats://{node}:6222"),
            *("--http_port", str(self._monitors[number]), "--store_dir", self._store(number)),
        )

    def _store(self, number: int) -> Path:
        return self._folder / f"store-{number + 1}"

    def _told(self, service: str, number: int) -> Mapping[str, str]:
        common = {
            "NATS_URL": self.nats_url,
            "PARLEY_NATS_CONTEXT": str(self.context_file(service)),
        }
        own = {
            "gateway": {
                "PARLEY_DATA": str(self._folder / f"gateway-{number + 1}"),
                "DATABASE_URL": self.database.render_as_string(hide_password=False),
                "PARLEY_REPLICAS": str(COPIES["nats"]),
            },
            "agent-worker": {
                "PARLEY_SKILLS": str(ROOT / ".agents" / "skills"),
                "PARLEY_GRACE": "1",
            },
            "web": {"PARLEY_WEB_PORT": str(self._web_ports[number % len(self._web_ports)])},
        }
        return {**common, **own[service]}

    def context_file(self, service: str) -> Path:
        """Return where the service's credential is kept."""
        return self._folder / "house" / service / "nats.json"

    def pid(self, service: str, number: int = 0) -> int | None:
        """Return the pid of a service's process, None while it is away."""
        return self._members[service, number].pid

    def running(self) -> Iterator[tuple[Place, int]]:
        """Yield the processes, each with its service and number, and its pid."""
        for place in self.places:
            if pid := self.pid(*place):
                yield place, pid

    def frozen(self) -> Iterator[tuple[Place, int]]:
        """Yield those that stand still."""
        for place, pid in self.running():
            if stands_still(pid):
                yield place, pid

    async def alive(self, service: str, number: int = 0) -> int:
        """Wait until the process runs; return its pid."""
        while not (pid := self.pid(service, number)):
            await asyncio.sleep(POLL_S)
        return pid

    async def send(self, place: Place, pid: int, what: Signals) -> None:
        """Send a signal to a process, unless it has just ended."""
        if self.pid(*place) == pid:
            await self._members[place].send(what)

    async def restart(self, by: Signals) -> None:
        """End everything with this signal; it is started anew."""
        running = list(self.running())
        await asyncio.gather(*(self.send(place, pid, by) for place, pid in running))
        while any(runs(pid) for _, pid in running):
            await asyncio.sleep(POLL_S)

    @asynccontextmanager
    async def away(self, place: Place) -> AsyncIterator[None]:
        """Kill a process and keep it away inside."""
        await self._members[place].kill()
        yield
        self._members[place].start()

    async def wipe(self) -> None:
        """Kill all servers and remove what they have stored before they start again."""
        servers = [each for (service, _), each in self._members.items() if service == "nats"]
        await asyncio.gather(*(each.kill() for each in servers))
        for number in range(len(servers)):
            shutil.rmtree(self._store(number), ignore_errors=True)
        for each in servers:
            each.start()

    async def fallen(self) -> None:
        """Return never: whatever ends is started again."""
        await asyncio.Event().wait()

    async def stop(self) -> int:
        """Stop it in good order and return its exit code."""
        codes = [await member.stop() for member in reversed(self._members.values())]
        return max(map(abs, codes), default=0)

    def remove(self) -> None:
        """Leave no container behind."""
        command = ("docker", "rm", "--force", "--volumes", self._container)
        subprocess.run(command, capture_output=True, check=False)  # noqa: S603 (our own words)


@asynccontextmanager
async def scaled_house(folder: Path) -> AsyncIterator[ScaledHouse]:
    """Run a scaled Parley with the tools of this package. Raises NoEngine."""
    shutil.copy(Path(__file__).with_name("tools.py"), folder / "tools.py")
    house = ScaledHouse(folder)
    house.points.mkdir()
    try:
        await house.start()
        yield house
    finally:
        await house.stop()
        house.remove()


def _addresses(number: int) -> list[str]:
    """Return loopback addresses that no other house uses, of this run or of another."""
    pid, first = os.getpid(), 1 + number * next(_HOUSES)
    return [f"127.{64 + (pid >> 8) % 128}.{pid % 256}.{first + each}" for each in range(number)]


def _connects(database: URL) -> bool:
    try:
        create_engine(database, poolclass=NullPool).connect().close()
    except DBAPIError:
        return False
    return True
