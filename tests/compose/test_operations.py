"""Every command of docs/operations.md works, in the page's order."""

from __future__ import annotations

import gzip
import json
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from compose_house import ROOT, ComposeHouse, clean_clone
from house import House
from operations_page import commands, marks
from parley_bus import Bus, NatsContext, jetstream
from parley_contracts.permissions import inbox

BACKUPS = ("parley", "scale")
NATS_BOX = "natsio/nats-box:0.19.7"


@pytest.fixture(scope="module")
def checkout(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeHouse]:
    """A checkout, closed to others, of a repository with the version that the page names."""
    folder = tmp_path_factory.mktemp("operations")
    origin = clean_clone(folder / "origin")
    for words in ("checkout --quiet -B main", "tag --force v0.1.0"):
        subprocess.run(["git", *words.split()], cwd=origin, check=True, capture_output=True)
    clone = folder / "parley"
    command = ("git", "clone", "--quiet", "--branch=main", origin, clone)
    subprocess.run(command, check=True, umask=0o077)
    house = ComposeHouse(clone)
    try:
        yield house
    finally:
        house.remove()


def test_every_block_says_where_it_is_run() -> None:
    marked = {"one machine", "one machine at rest", "containers", "scale", "nats-box"}
    assert marks() == marked


def test_commands_of_a_house_on_one_machine(
    make_house: Callable[..., House], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = make_house().start()
    monkeypatch.chdir(tmp_path)
    run_commands(house, "one machine")
    house.stop()
    run_commands(house, "one machine at rest")


def run_commands(house: House, mark: str) -> None:
    for line in commands(mark):
        program, *arguments = shlex.split(line)
        assert program == "./parley"
        answer = house.parley(*arguments)
        assert answer.returncode == 0, (line, answer.stderr)


@pytest.mark.compose
def test_commands_of_a_house_in_containers(checkout: ComposeHouse) -> None:
    for line in commands("containers"):
        checkout.run("sh", "-ec", line)


@pytest.mark.compose
def test_commands_of_a_house_of_several(checkout: ComposeHouse) -> None:
    for line in commands("scale"):
        checkout.run("sh", "-ec", line)
    kept = [gzip.decompress((checkout.folder / f"{name}.backup").read_bytes()) for name in BACKUPS]
    assert rows(kept[0]) == rows(kept[1]) != []


def rows(backup: bytes) -> list[bytes]:
    """Return a backup's lines but the first, which says when it was made."""
    return backup.splitlines()[1:]


@pytest.mark.compose
def test_commands_that_look_inside(checkout: ComposeHouse) -> None:
    if subprocess.run(["docker", "pull", "--quiet", NATS_BOX], capture_output=True).returncode:
        pytest.skip(f"the image {NATS_BOX} cannot be pulled here")
    for line in ("docker compose up --wait", *commands("nats-box")):
        checkout.run("sh", "-ec", line)


async def test_the_owner_is_answered_what_these_commands_ask(
    make_house: Callable[..., House],
) -> None:
    """The image of the `nats` command cannot be had everywhere; its requests can."""
    house = make_house().start()
    assert house.parley("send", "--agent", "echo", "hello").returncode == 0
    context = NatsContext.read(house.data / "nats" / "owner.json")
    bus = await Bus.connect(context, name="owner")
    for line in commands("nats-box")[1:]:
        _, _, words = line.partition(" nats-box nats ")
        assert await asked(bus, *shlex.split(words)), line
    await bus.close()


async def asked(bus: Bus, *words: str) -> object:
    """Ask what the command `nats` asks with these words; return how much was found."""
    match words:
        case "stream", "report":
            return (await jetstream.call(bus, "STREAM.LIST"))["total"]
        case "consumer", "report", stream:
            return (await jetstream.call(bus, f"CONSUMER.LIST.{stream}"))["total"]
        case "request", subject, body:
            return "version" in json.loads((await bus.ask(subject, body.encode())).data)
        case "micro", "ls":
            return json.loads((await bus.ask("$SRV.PING", b"")).data)["name"]
        case "sub", subject, "--count", "1", "--start-sequence", start, "--stream", stream:
            first = {"deliver_policy": "by_start_sequence", "opt_start_seq": int(start)}
            reader = {"name": "look", "deliver_subject": f"{inbox('owner')}.look", **first}
            config = {**reader, "ack_policy": "none", "filter_subject": subject}
            call = f"CONSUMER.CREATE.{stream}.look.{subject}"
            made = await jetstream.call(bus, call, {"stream_name": stream, "config": config})
            return made["num_pending"] + made["delivered"]["stream_seq"]
    raise AssertionError(f"what does 'nats {shlex.join(words)}' ask?")


def test_the_page_and_the_compose_file_name_one_nats_box() -> None:
    assert f"image: {NATS_BOX}" in (ROOT / "docker-compose.yml").read_text()
