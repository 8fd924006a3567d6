"""What the one-shot service makes: credentials that a NATS server takes, each for one container."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from broker import Broker
from compose_house import ROOT
from parley_bus import Bus, NatsContext
from parley_contracts.errors import Unauthorized
from parley_contracts.permissions import SERVICES, inbox

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Run the program on volumes of this test, `settings` given by service; return the volumes."""

    def run(*options: str, **settings: str) -> Path:
        house, given = tmp_path / "house", tmp_path / "given"
        for each in (*(house / name for name in (*SERVICES, "nats", "postgres")), given):
            each.mkdir(parents=True, exist_ok=True)
        for service, lines in settings.items():
            (given / service.replace("_", "-")).write_text(lines)
        conf = ROOT / "deploy" / "nats.conf"
        command = [sys.executable, "-m", "parley_bus.credentials", str(house), str(conf)]
        subprocess.run([*command, "--given", str(given), *options], check=True)
        return house

    return run


def test_only_the_owner_of_a_file_can_read_it(make: Make) -> None:
    house = make("--postgres", "postgres", agent_worker="OPENAI_API_KEY=secret\n")
    files = [each for each in house.rglob("*") if each.is_file()]
    assert len(files) > len(SERVICES)
    assert {each.stat().st_mode & 0o777 for each in files} == {0o600}


def test_passwords_are_made_once(make: Make) -> None:
    first = {each: each.read_text() for each in make("--nodes", "a", "b").rglob("*.json")}
    second = {each: each.read_text() for each in make("--nodes", "a", "b").rglob("*.json")}
    assert first == second
    passwords = {json.loads(text)["password"] for text in first.values()}
    assert len(passwords) == len(SERVICES)


def test_a_setting_that_is_taken_back_is_gone(make: Make) -> None:
    settings = make(gateway="A=1=one two$\nB=2\nC=\n") / "gateway" / "settings"
    assert {each.name: each.read_text() for each in settings.iterdir()} == {
        "A": "1=one two$\n",
        "B": "2\n",
    }
    make(gateway="A=\nB=3\n")
    assert {each.name: each.read_text() for each in settings.iterdir()} == {"B": "3\n"}


def test_an_existing_server_says_by_its_url_who_connects(make: Make) -> None:
    house = make(nats="NATS_URL=nats://me:mine@example.net:4222\n")
    assert json.loads((house / "web" / "nats.json").read_text()) == {
        "description": "Parley: web",
        "inbox_prefix": inbox("web"),
        "url": "nats://me:mine@example.net:4222",
    }


def test_the_database_password_is_where_libpq_reads_it(make: Make) -> None:
    house = make("--postgres", "postgres")
    password = (house / "postgres" / "password").read_text().strip()
    assert (house / "gateway" / "pgpass").read_text() == f"postgres:*:*:*:{password}\n"


class ConfiguredBroker(Broker):
    """A server with the configuration that containers use, on a port of this machine."""

    def __init__(self, folder: Path, house: Path) -> None:
        super().__init__(folder)
        self._house = house

    def write_config(self, passwords: dict[str, str]) -> Path:
        shutil.copytree(self._house / "nats", self._folder, dirs_exist_ok=True)
        path = self._folder / "nats.conf"
        text = path.read_text()
        for written, here in (
            ("0.0.0.0:4222", f"127.0.0.1:{self.port}"),
            ("127.0.0.1:8222", "127.0.0.1:-1"),
            ("jetstream {", f"jetstream {{\n    store_dir: {self._folder / 'store'}"),
        ):
            assert written in text
            text = text.replace(written, here)
        path.write_text(text)
        return path


@pytest.fixture
def configured(make: Make, tmp_path: Path) -> Iterator[tuple[ConfiguredBroker, Path]]:
    """A running server and the volumes that it was configured with."""
    house = make()
    (tmp_path / "nats").mkdir()
    server = ConfiguredBroker(tmp_path / "nats", house)
    server.start()
    yield server, house
    server.kill()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_server_takes_each_credential(
    configured: tuple[ConfiguredBroker, Path], service: str
) -> None:
    server, house = configured
    context = NatsContext.read(house / service / "nats.json").at(server.url)
    bus = await Bus.connect(context, name=service)
    assert bus.connected
    await bus.close()


async def test_a_server_takes_no_other_credential(
    configured: tuple[ConfiguredBroker, Path],
) -> None:
    server, house = configured
    context = NatsContext.read(house / "web" / "nats.json").at(server.url)
    with pytest.raises(Unauthorized):
        await Bus.connect(context.model_copy(update={"user": "gateway"}), name="web")


def test_servers_of_a_cluster_ask_each_other_for_a_password(make: Make, tmp_path: Path) -> None:
    house = make("--nodes", "nats", "nats-2", "nats-3")
    cluster = json.loads((house / "nats" / "cluster.conf").read_text())["cluster"]
    password = cluster["authorization"]["password"]
    assert password == (house / "nats" / "password").read_text().strip()
    hosts = [
        re.fullmatch(rf"nats://node:{password}@(\S+):6222", each) for each in cluster["routes"]
    ]
    assert [each and each[1] for each in hosts] == ["nats", "nats-2", "nats-3"]
    folder = tmp_path / "checked"
    folder.mkdir()
    config = ConfiguredBroker(folder, house).write_config({})
    server = Path(sys.executable).parent / "nats-server"
    subprocess.run([server, "-c", config, "-t"], check=True, capture_output=True)
