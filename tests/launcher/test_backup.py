"""`backup` and `restore`: as a person at the terminal meets them."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from broken_storage import small_disk
from house import LIMIT_S, House


def api_of(house: House) -> httpx2.Client:
    headers = {"Authorization": f"Bearer {house.token}"}
    return httpx2.Client(base_url=house.url, headers=headers, timeout=LIMIT_S)


def thread_of(stderr: str) -> str:
    return stderr.split()[1]


def test_a_backup_taken_while_it_runs_restores_into_another_installation(
    make_house: Callable[..., House], tmp_path: Path
) -> None:
    house = make_house().start()
    thread = thread_of(house.parley("send", "--agent", "echo", "[[think x]]remember me").stderr)
    api = api_of(house)
    fork = api.post(f"/api/threads/{thread}/fork", json={}).json()["id"]
    browser = httpx2.Client(base_url=house.url, timeout=LIMIT_S)
    assert browser.post("/api/login", json={"token": house.token}).status_code == 204
    running = house.following("send", "--agent", "echo", "[[slow 600]] one two")
    assert running.stdout
    assert running.stdout.read(3) == "one"
    file = tmp_path / "parley.backup"
    taken = house.parley("backup", str(file))
    assert (taken.returncode, taken.stdout) == (0, ""), taken.stderr
    assert "3 threads and 3 messages" in taken.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    house.parley("send", "--thread", thread, "[[think x]]after the backup")
    before = api.get(f"/api/threads/{fork}").json()["messages"]
    running.kill()
    running.communicate()
    house.stop()

    other = make_house(data=tmp_path / "other")
    restored = other.parley("restore", str(file))
    assert restored.returncode == 0, restored.stderr
    other.start()
    shown = api_of(other)
    assert shown.get(f"/api/threads/{fork}").json()["messages"] == before
    texts = [each["text"] for each in shown.get(f"/api/threads/{thread}").json()["messages"]]
    assert texts == ["[[think x]]remember me", "remember me"]
    assert other.token != house.token
    cookies = dict(browser.cookies)
    signed_in = httpx2.get(f"{other.url}/api/threads", cookies=cookies, timeout=LIMIT_S)
    assert signed_in.status_code == 200, "the browser's sign-in came along"
    found = other.parley("send", "--thread", thread, "[[think x]]goes on")
    assert (found.returncode, found.stdout) == (0, "goes on\n")


def test_what_was_there_is_kept_and_a_running_house_is_left_alone(
    make_house: Callable[..., House], tmp_path: Path
) -> None:
    house = make_house().start()
    file = tmp_path / "parley.backup"
    thread = thread_of(house.parley("send", "--agent", "echo", "[[think x]]first").stderr)
    assert house.parley("backup", str(file)).returncode == 0
    refused = house.parley("restore", str(file))
    assert refused.returncode == 1
    assert "Parley runs already on the data folder" in refused.stderr
    house.parley("send", "--thread", thread, "[[think x]]only in the old one")
    house.parley("send", "--agent", "echo", "[[think x]]and this thread")
    house.stop()
    restored = house.parley("restore", str(file))
    assert restored.returncode == 0, restored.stderr
    assert f"is now {house.data / 'parley.db.before-restore-1'}." in restored.stderr
    house.start()
    found = api_of(house).get("/api/threads").json()["threads"]
    assert [each["id"] for each in found] == [thread]
    sent = house.parley("send", "--thread", thread, "[[think x]]goes on")
    assert (sent.returncode, sent.stdout) == (0, "goes on\n")
    shown = api_of(house).get(f"/api/threads/{thread}").json()["messages"]
    assert [each["text"] for each in shown][1::2] == ["first", "goes on"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"", "no backup of Parley"),
        (b"\x1f\x8b\x08\x00 nonsense", "damaged or was cut off"),
    ],
)
def test_a_file_that_cannot_be_restored_is_refused_in_one_sentence(
    make_house: Callable[..., House], tmp_path: Path, content: bytes | None, words: str
) -> None:
    house = make_house()
    file = tmp_path / "some.backup"
    if content is not None:
        file.write_bytes(content)
    refused = house.parley("restore", str(file))
    assert refused.returncode == 1
    [line] = refused.stderr.splitlines()
    assert line.startswith("parley: ")
    assert words in line
    assert not (house.data / "parley.db").exists()


@pytest.mark.parametrize("file", ["no/such/folder/file", "."])
def test_a_place_that_takes_no_backup_is_named(house: House, tmp_path: Path, file: str) -> None:
    refused = house.parley("backup", str(tmp_path / file))
    assert refused.returncode == 1
    assert "cannot be written" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_keeps_the_older_backup(house: House, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        file = disk.path / "parley.backup"
        file.write_bytes(b"the older one")
        disk.fill()
        refused = house.parley("backup", str(file))
        assert (refused.returncode, file.read_bytes()) == (1, b"the older one")
        [line] = refused.stderr.splitlines()
        assert "No space left on device" in line
        assert {each.name for each in disk.path.iterdir()} == {"parley.backup", "ballast"}


def test_where_there_is_nothing_there_is_no_backup(
    make_house: Callable[..., House], tmp_path: Path
) -> None:
    refused = make_house().parley("backup", str(tmp_path / "file"))
    assert refused.returncode == 1
    assert "There is no database" in refused.stderr
    assert list(tmp_path.iterdir()) == []
