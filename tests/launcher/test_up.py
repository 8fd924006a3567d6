"""`./parley up`: the whole house starts, keeps running, and leaves nothing behind."""

from __future__ import annotations

import os
import select
import signal
import socket
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from broker import Broker
from fakes.model_process import ModelProcess
from house import LIMIT_S, House
from parley_contracts.permissions import SERVICES

MakeHouse = Callable[..., House]
ANSWERABLE = 'it is [[tool calculator {"expression": "6*7"}]]'
NAMES = ["nats", "gateway", "agent-worker", "web"]


def gone(pids: list[int]) -> bool:
    """Tell whether all these processes ended, within the limit at which a test gives up."""
    for each in pids:
        try:
            process = os.pidfd_open(each)
        except ProcessLookupError:
            continue
        ended, _, _ = select.select([process], [], [], LIMIT_S)
        os.close(process)
        if not ended:
            return False
    return True


def answers(house: House) -> bool:
    """Tell whether a turn goes through all services."""
    found = house.parley("send", "--agent", "echo", ANSWERABLE)
    assert found.returncode == 0, found.stderr
    return found.stdout == "it is 42\n"


def signs_in(house: House, token: str) -> bool:
    """Tell whether the page lets this token in."""
    said = httpx2.post(f"{house.url}/api/login", json={"token": token}, timeout=LIMIT_S)
    return said.status_code == 204


def test_the_printed_link_signs_in(house: House) -> None:
    assert httpx2.get(f"{house.url}/readyz", timeout=LIMIT_S).status_code == 200
    assert signs_in(house, house.token)


def test_run_json_names_every_process(house: House) -> None:
    run = house.run_file
    assert run["url"] == house.url
    assert list(run["services"]) == NAMES
    assert run["services"]["web"]["port"] == int(house.url.rsplit(":", 1)[1])
    for each in [run, *run["services"].values()]:
        os.kill(each["pid"], 0)


def test_nobody_else_can_read_the_data_folder(house: House) -> None:
    assert [path for path in files(house.data) if open_to_others(path)] == []


def files(folder: Path) -> Iterator[Path]:
    """Yield the folder and all that is in it; what goes meanwhile may be left out."""
    yield folder
    for place, folders, others in os.walk(folder):
        yield from (Path(place, each) for each in [*folders, *others])


def open_to_others(path: Path) -> bool:
    """Tell whether anybody but the owner may do anything with it while it is there."""
    try:
        return bool(stat.S_IMODE(path.lstat().st_mode) & 0o077)
    except FileNotFoundError:
        return False


def test_nothing_listens_beyond_loopback(house: House) -> None:
    addresses = {address for pid in pids(house) for address in listening(pid)}
    assert addresses == {"127.0.0.1"}


def pids(house: House) -> list[int]:
    return [each["pid"] for each in house.run_file["services"].values()]


def opened(pid: int) -> Iterator[str]:
    """Yield what a process has open; what it closes meanwhile may be left out."""
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            yield str(each.readlink())


def listening(pid: int) -> Iterator[str]:
    """Yield the addresses that a process listens on, from the kernel's own table."""
    own = set(opened(pid))
    for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and f"socket:[{rest[5]}]" in own:
                words = bytes.fromhex(local.split(":")[0])
                flipped = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
                yield socket.inet_ntop(family, flipped)


def test_sigterm_stops_everything_in_order_with_exit_code_0(make_house: MakeHouse) -> None:
    house = make_house().start()
    running = pids(house)
    assert house.stop() == 0
    assert gone(running)
    assert not (house.data / "run.json").exists()


def test_without_a_terminal_it_stops_in_order_too(make_house: MakeHouse) -> None:
    running = make_house().following("up", "--web-port", "0", "--nats-port", "0")
    assert running.stdout
    assert running.stderr
    while "Ctrl-C" not in running.stdout.readline():
        assert running.poll() is None
    running.stdout.close()
    running.stderr.close()
    running.send_signal(signal.SIGTERM)
    assert running.wait(LIMIT_S) == 0


def test_rule_19_a_killed_launcher_leaves_no_rival_and_all_that_was_said(
    make_house: MakeHouse,
) -> None:
    house = make_house().start()
    thread = house.parley("send", "--agent", "echo", "first").stderr.split()[1]
    running = pids(house)
    house.kill()
    assert gone(running)
    house.start()
    assert house.parley("send", "--thread", thread, ANSWERABLE).stdout == "it is 42\n"


@pytest.mark.parametrize("service", NAMES)
def test_a_killed_service_is_started_again(mortal_house: House, service: str) -> None:
    assert answers(mortal_house)
    before = mortal_house.pid(service)
    told = f"{service}  ended (SIGKILL); starting it again in"
    deaths = mortal_house.output.count(told)  # other tests may have killed it, too
    os.kill(before, signal.SIGKILL)
    mortal_house.wait_for(told, times=deaths + 1)
    assert answers(mortal_house)
    assert mortal_house.pid(service) != before


def test_several_workers_are_a_list_and_all_of_them_work(make_house: MakeHouse) -> None:
    house = make_house("--workers", "2").start()
    workers = house.run_file["services"]["agent-worker"]
    assert len({each["pid"] for each in workers}) == 2
    assert answers(house)


def test_a_second_up_on_the_same_data_is_refused_and_harms_nothing(house: House) -> None:
    second = house.parley("up", "--web-port", "0", "--nats-port", "0")
    assert second.returncode == 1
    assert "Parley runs already on the data folder" in second.stderr
    assert answers(house)


def test_a_taken_port_is_named_before_anything_starts(make_house: MakeHouse) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        house = make_house("--web-port", port)
        house.begin()
        assert house.wait() == 1
    assert f"parley: port {port} is taken by another program" in house.output
    assert "--web-port (PARLEY_WEB_PORT)" in house.output
    assert list((house.data / "logs").iterdir()) == []


def test_a_broken_env_file_is_named(make_house: MakeHouse, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GOOD=1\nOPENAI_API_KEY='sk\n")
    house = make_house(PARLEY_ENV_FILE=str(tmp_path / ".env"))
    house.begin()
    assert house.wait() == 1
    assert ".env cannot be read at line 2" in house.output
    assert not house.data.exists()


def test_the_data_folder_may_have_any_name(make_house: MakeHouse, tmp_path: Path) -> None:
    house = make_house(data=tmp_path / "Mein „Gespräch“ 100% #1?", LC_ALL="C").start()
    house.wait_for("nats --context '/")  # can be pasted into a shell
    assert answers(house)


def test_an_access_token_of_ones_own_is_in_the_link(make_house: MakeHouse) -> None:
    house = make_house(PARLEY_ACCESS_TOKEN="a token/of mine").start()
    assert house.token == "a%20token%2Fof%20mine"
    assert signs_in(house, "a token/of mine")


def test_what_was_found_is_said_and_answers(make_house: MakeHouse) -> None:
    server = ModelProcess()
    house = make_house(LOCAL_BASE_URL=server.url).start()
    house.wait_for(f"at {server.url} offers 2 models")
    house.wait_for("local:fake answers for agents whose model is auto")
    assert "local:fake answers" in house.parley("status").stdout
    house.stop()
    server.kill()


def test_without_a_model_server_it_is_said_who_answers(make_house: MakeHouse) -> None:
    house = make_house().start()
    house.wait_for("no model is connected, so the built-in echo:demo answers")
    house.stop()


def test_an_existing_nats_server_takes_the_embedded_ones_place(
    make_house: MakeHouse, broker: Broker
) -> None:
    contexts = {broker.context_file(each).parent for each in SERVICES}
    house = make_house(NATS_URL=broker.url, PARLEY_NATS_CONTEXT=str(contexts.pop())).start()
    assert list(house.run_file["services"]) == NAMES[1:]
    assert answers(house)


def test_a_data_folder_of_a_newer_version_is_refused_in_one_sentence(
    make_house: MakeHouse,
) -> None:
    house = make_house().start()
    assert house.stop() == 0
    make_newer(house.data)
    house.begin()
    assert house.wait() == 1
    assert "parley: gateway cannot start: " in house.output
    assert "newer" in house.output


def make_newer(data: Path) -> None:
    """Leave the database as a version to come would."""
    with sqlite3.connect(next(data.glob("*.db"))) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
