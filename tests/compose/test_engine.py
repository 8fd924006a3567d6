"""`docker compose up` from a clean clone, on an engine: what a house in containers promises."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable

import httpx2
import pytest
from api_client import Api
from compose_house import LIMIT_S, ComposeHouse
from parley_bus.puller import EXPIRES_S
from parley_bus.topology import ACK_WAIT_S, CATALOG_TTL_S
from parley_gateway.store.claims import LEASE_S
from pressure import Pressure

pytestmark = pytest.mark.compose

SERVICES = ("gateway", "agent-worker", "web")
MOST_ABOVE_BASE = 120_000_000
CUT_S = max(ACK_WAIT_S, CATALOG_TTL_S, EXPIRES_S, LEASE_S) + 5
"""Longer than every time-out between services."""
KEY = "sk-a-key-that-must-not-show"
TOKEN = "an-access-token-that-must-not-show"
THREADS = 6


async def test_one_command_leads_to_a_streamed_answer(installation: ComposeHouse) -> None:
    async with httpx2.AsyncClient(base_url=installation.url, timeout=LIMIT_S) as browser:
        answer = await browser.post("/api/login", json={"token": installation.token})
        assert answer.status_code == 204
        assert (await browser.get("/api/threads")).status_code == 200
    api = Api(installation.url, installation.token)
    seen = await api.ask(await api.new_thread(), "one two three [[slow 0.01]]")
    deltas = [each.data["text"] for each in seen if each.kind == "text_delta"]
    assert len(deltas) > 1
    assert "".join(deltas) == seen[-1].data["message"]["text"] == "one two three"


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_adds_at_most_120_mb_to_its_base(
    installation: ComposeHouse, service: str, show_table: Callable[[str], None]
) -> None:
    image, base = installation.inspect(f"{installation.project}-{service}", "python:3.13-slim")
    above = image["Size"] - base["Size"]
    show_table(f"image of {service}: {above / 1e6:.0f} MB above its base")
    assert above <= MOST_ABOVE_BASE


def test_nothing_runs_as_root(installation: ComposeHouse) -> None:
    for container in installation.containers():
        shown = installation.run("docker", "top", container, "-eo", "pid,uid").splitlines()
        assert [line for line in shown if line.split()[1] == "0"] == []


def test_no_container_can_write_to_its_root_file_system(installation: ComposeHouse) -> None:
    for each in installation.inspect(*installation.containers()):
        assert each["HostConfig"]["ReadonlyRootfs"], each["Name"]


def test_no_process_has_or_gains_privileges(installation: ComposeHouse) -> None:
    for service in (*SERVICES, "nats"):
        status = installation.inside(service, "cat", "/proc/self/status")
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert [int(facts[each], 16) for each in ("CapPrm", "CapEff", "CapBnd")] == [0, 0, 0]
        assert facts["NoNewPrivs"] == "1"


def test_nothing_listens_beyond_loopback(installation: ComposeHouse) -> None:
    assert installation.published() == [("127.0.0.1", str(installation.port))]


def test_each_container_sees_only_its_own_credential(installation: ComposeHouse) -> None:
    passwords = {each: _password(installation, each) for each in SERVICES}
    assert len(set(passwords.values())) == len(SERVICES)
    for service, own in passwords.items():
        seen = installation.inside(service, "sh", "-c", "cat $(find /credentials -type f)")
        assert [each for each in passwords.values() if each in seen] == [own]


def test_no_secret_is_in_an_image_or_in_what_the_engine_shows(installation: ComposeHouse) -> None:
    env_file = installation.folder / ".env"
    env_file.write_text(f"OPENAI_API_KEY={KEY}\nPARLEY_ACCESS_TOKEN={TOKEN}\n")
    try:
        installation.up("--force-recreate")
        given = installation.inside("agent-worker", "cat", "/credentials/settings/OPENAI_API_KEY")
        assert given.strip() == KEY
        assert installation.token == TOKEN
        secrets = [KEY, TOKEN, *(_password(installation, each) for each in SERVICES)]
        shown = _all_that_the_engine_shows(installation)
        assert [each for each in secrets if each in shown] == []
    finally:
        env_file.unlink()
        installation.up("--force-recreate")


def _password(house: ComposeHouse, service: str) -> str:
    return house.inside(service, "cat", "/credentials/password").strip()


def _all_that_the_engine_shows(house: ComposeHouse) -> str:
    containers = house.compose("ps", "--all", "--quiet").split()
    images = {each["Image"] for each in house.inspect(*containers)}
    history = [house.run("docker", "history", "--no-trunc", each) for each in images]
    return "".join([house.run("docker", "inspect", *containers, *images), *history])


async def test_a_skill_is_edited_without_a_build(installation: ComposeHouse) -> None:
    skill = installation.folder / ".agents" / "skills" / "made-now" / "SKILL.md"
    skill.parent.mkdir()
    skill.write_text("---\nname: made-now\ndescription: Written while Parley runs.\n---\nHello.\n")
    api = Api(installation.url, installation.token)
    try:
        await _skill_appears(api, "made-now")
    finally:
        skill.unlink()
        skill.parent.rmdir()


async def test_skills_that_the_worker_may_not_read_are_shown_with_the_reason(
    installation: ComposeHouse,
) -> None:
    skills = installation.folder / ".agents" / "skills"
    skills.chmod(0o700)
    try:
        shown = await _skill_appears(Api(installation.url, installation.token), "skills")
    finally:
        skills.chmod(0o755)
    assert "cannot be read (Permission denied); mend its permissions" in shown["problem"]


async def _skill_appears(api: Api, name: str) -> dict[str, str]:
    async with asyncio.timeout(LIMIT_S):
        while True:
            skills = (await api.call("GET", "/api/catalog"))["skills"]
            for each in skills:
                if each["name"] == name:
                    found: dict[str, str] = each
                    return found
            await asyncio.sleep(0.5)


def test_a_change_of_code_touches_only_the_last_layer(installation: ComposeHouse) -> None:
    before = _layers(installation, "web")
    page = installation.folder / "services" / "web" / "parley_web" / "__init__.py"
    written = page.read_text()
    try:
        page.write_text(written + "\n# changed\n")
        installation.compose("build", "web")
    finally:
        page.write_text(written)
    after = _layers(installation, "web")
    assert after[:-1] == before[:-1]
    assert after[-1] != before[-1]


def _layers(house: ComposeHouse, service: str) -> list[str]:
    (image,) = house.inspect(f"{house.project}-{service}")
    layers: list[str] = image["RootFS"]["Layers"]
    return layers


def test_health_tells_when_the_bus_does_not_answer(installation: ComposeHouse) -> None:
    services = [container for each in SERVICES for container in installation.containers(each)]
    (nats,) = installation.containers("nats")
    installation.run("docker", "pause", nats)
    try:
        installation.await_health("unhealthy", *services)
    finally:
        installation.run("docker", "unpause", nats)
    installation.await_health("healthy", nats, *services)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_crashes_is_started_again(installation: ComposeHouse, service: str) -> None:
    (container,) = installation.containers(service)
    (before,) = installation.inspect(container)
    kill = ("python", "-c", "import os; os.kill(-1, 9)")
    installation.compose("exec", "--detach", service, *kill)
    until = time.monotonic() + LIMIT_S
    while installation.inspect(container)[0]["RestartCount"] == before["RestartCount"]:
        assert time.monotonic() < until
        time.sleep(0.2)
    installation.await_health("healthy", container)


async def test_every_accepted_message_is_answered_once_and_in_order_whatever_happens(
    installation: ComposeHouse, show_table: Callable[[str], None]
) -> None:
    house = installation
    await asyncio.to_thread(house.up, "--no-recreate", "--scale", "agent-worker=3")
    pressure = Pressure(house.url, house.token)
    async with pressure.on(THREADS):
        for service in ("nats", "gateway", "web", "agent-worker"):
            async with pressure.fault(f"{service} killed"):
                await _kill_and_start(house, house.containers(service)[0])
            async with pressure.fault(f"{service} restarted"):
                await asyncio.to_thread(house.compose, "restart", service)
        async with pressure.fault(f"all workers frozen for {CUT_S:.0f} s"):
            await _freeze(house, house.containers("agent-worker"))
        async with pressure.fault(f"the gateway's network cut for {CUT_S:.0f} s"):
            await _cut(house, house.containers("gateway")[0], "gateway")
        async with pressure.fault("all killed at once, started in any order"):
            await _kill_and_start(house, *house.containers())
    count = await pressure.count()
    show_table("one of each, three workers\n" + pressure.table(count))
    assert (count.lost, count.doubled, count.out_of_order, count.failed) == (0, 0, 0, 0)
    logged = house.compose("logs", "--no-log-prefix", *SERVICES).splitlines()
    assert [line for line in logged if re.search(" ERROR | CRITICAL |Traceback", line)] == []


async def _kill_and_start(house: ComposeHouse, *containers: str) -> None:
    await asyncio.to_thread(house.run, "docker", "kill", *containers)
    await asyncio.to_thread(house.run, "docker", "start", *sorted(containers))


async def _freeze(house: ComposeHouse, containers: list[str]) -> None:
    await asyncio.to_thread(house.run, "docker", "pause", *containers)
    await asyncio.sleep(CUT_S)
    await asyncio.to_thread(house.run, "docker", "unpause", *containers)


async def _cut(house: ComposeHouse, container: str, alias: str) -> None:
    network = f"{house.project}_default"
    await asyncio.to_thread(house.run, "docker", "network", "disconnect", network, container)
    await asyncio.sleep(CUT_S)
    connect = ("docker", "network", "connect", "--alias", alias, network, container)
    await asyncio.to_thread(house.run, *connect)


async def test_down_and_up_find_everything(installation: ComposeHouse) -> None:
    token = installation.token
    api = Api(installation.url, token)
    thread = await api.new_thread(title="kept")
    await api.ask(thread, "remember this")
    fork = await api.call("POST", f"/api/threads/{thread}/fork", {}, status=201)
    before = [await api.call("GET", f"/api/threads/{each}") for each in (thread, fork["id"])]
    await asyncio.to_thread(installation.compose, "stop")
    ended = installation.inspect(*installation.compose("ps", "--all", "--quiet").split())
    assert [each["Name"] for each in ended if each["State"]["ExitCode"]] == []
    await asyncio.to_thread(installation.compose, "down")
    await asyncio.to_thread(installation.up)
    assert installation.token == token
    after = [await api.call("GET", f"/api/threads/{each}") for each in (thread, fork["id"])]
    assert [each["messages"] for each in after] == [each["messages"] for each in before]
    assert [each["thread"] for each in after] == [each["thread"] for each in before]
