"""`export` and `import`: what goes out comes back the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from house import House

AGENT = {
    "id": "guide",
    "handle": "guide",
    "name": "Wegweiser 🧭",
    "model": "echo:plain",
    "system_prompt": "Be brief.\n",
    "tools": ["calculator"],
    "skills": ["explain-simply"],
    "policies": {"calculator": "allow"},
    "parameters": {"temperature": 0.5},
    "fallbacks": ["echo:demo"],
}
CALCULATION = '[[think two]] [[tool calculator {"expression": "6*7"}]]'


def api_of(house: House) -> httpx2.Client:
    headers = {"Authorization": f"Bearer {house.token}"}
    return httpx2.Client(base_url=house.url, headers=headers, timeout=60)


def say(house: House, *arguments: str) -> str:
    """Send a message, wait for the answer, return the thread's id if it is a new one."""
    sent = house.parley("send", *arguments)
    assert sent.returncode == 0, sent.stderr
    return sent.stderr.split()[1] if sent.stderr else ""


def furnish(house: House) -> None:
    """Make an agent, threads, a fork, and one in the archive."""
    api = api_of(house)
    assert api.post("/api/agents", json=AGENT).status_code == 201
    thread = say(house, "--agent", "guide", f"Größe 😀\n\n```py\nx = 1\n``` {CALCULATION}")
    fork = api.post(f"/api/threads/{thread}/fork", json={"title": "Fork"}).json()["id"]
    say(house, "--thread", fork, "[[think x]]only here")
    say(house, "--thread", thread, "--agent", "echo", "[[think x]]by another")
    api.patch(f"/api/threads/{thread}", json={"title": "Réise / ✈️"})
    archived = say(house, "--agent", "echo", "[[think x]]kept")
    assert house.parley("send", "--thread", archived, "[[fail rate-limit]]").returncode == 1
    api.patch(f"/api/threads/{archived}", json={"status": "archived"})


def contents(folder: Path) -> tuple[dict[str, str], list[Any]]:
    """Return an export's agents, and its threads without what must differ, in order."""
    agents = {file.name: file.read_text() for file in (folder / "agents").iterdir()}
    threads = [json.loads(file.read_text()) for file in sorted((folder / "threads").iterdir())]
    return agents, [_neutral(each) for each in threads]


def _neutral(export: dict[str, Any]) -> Any:
    thread = export["thread"]
    for name in ("id", "rev", "created_at", "active_at", "parent", "family"):
        thread.pop(name, None)
    turns: dict[str, int] = {}
    for message in export["messages"]:
        message["turn_id"] = turns.setdefault(message["turn_id"], len(turns))
        del message["id"], message["thread_id"]
    return export


def test_everything_comes_back_in_another_house(
    make_house: Callable[..., House], tmp_path: Path
) -> None:
    house = make_house().start()
    furnish(house)
    first, second = tmp_path / "first", tmp_path / "second"
    told = house.parley("export", str(first))
    assert (told.returncode, told.stdout) == (0, ""), told.stderr
    assert "3 agents and 3 threads" in told.stderr
    house.stop()
    other = make_house(data=tmp_path / "other").start()
    told = other.parley("import", str(first))
    assert told.returncode == 0, told.stderr
    assert other.parley("export", str(second)).returncode == 0
    assert contents(second) == contents(first)
    assert [each["thread"]["status"] for each in contents(first)[1]].count("archived") == 1
    other.stop()


def test_one_thread_is_one_file(house: House, tmp_path: Path) -> None:
    thread = say(house, "--agent", "echo", "[[think x]]alone")
    file, again = tmp_path / "thread.json", tmp_path / "again.json"
    assert house.parley("export", "--thread", thread, str(file)).returncode == 0
    told = house.parley("import", str(file))
    assert told.returncode == 0, told.stderr
    made = told.stderr.split()[1].removesuffix(":")
    assert house.parley("export", "--thread", made, str(again)).returncode == 0
    first, second = (json.loads(each.read_text()) for each in (file, again))
    assert _neutral(first) == _neutral(second)


def test_an_agent_gets_the_settings_of_the_file_and_a_known_one_stays(
    house: House, tmp_path: Path
) -> None:
    api = api_of(house)
    made = api.post("/api/agents", json={**AGENT, "id": "adapted", "handle": "adapted"}).json()
    (tmp_path / "agents").mkdir()
    file = tmp_path / "agents" / "adapted.json"
    file.write_text(json.dumps({**AGENT, "id": "elsewhere", "handle": "adapted", "name": "New"}))
    told = house.parley("import", str(tmp_path))
    assert "@adapted has the settings of the file now" in told.stderr
    agent = api.get("/api/agents/adapted").json()
    assert (agent["id"], agent["name"], agent["revision"]) == ("adapted", "New", 2)
    assert house.parley("import", str(tmp_path)).returncode == 0
    assert api.get("/api/agents/adapted").json()["revision"] == made["revision"] + 1


def test_an_agent_gets_another_id_where_its_own_is_taken(house: House, tmp_path: Path) -> None:
    api = api_of(house)
    assert api.post("/api/agents", json={**AGENT, "id": "first", "handle": "taken"}).is_success
    (tmp_path / "agents").mkdir()
    for name in ("first", "taken"):
        file = tmp_path / "agents" / f"{name}.json"
        file.write_text(json.dumps({**AGENT, "id": name, "handle": f"new-{name}"}))
    told = house.parley("import", str(tmp_path))
    assert told.returncode == 0, told.stderr
    made = {api.get(f"/api/agents/new-{name}").json()["id"] for name in ("first", "taken")}
    assert len(made - {"first", "taken"}) == 2


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.json", None, "there is no "),
        ("text.json", "nonsense", "text.json: The body is not JSON"),
        ("wrong.json", '{"messages": [{"role": "nobody", "text": "x"}]}', "messages.0.role"),
        ("agents/wrong.json", "{}", "is no exported agent: handle"),
        ("other/file.json", "{}", "holds no export"),
    ],
)
def test_what_cannot_be_imported_is_refused_in_one_sentence(
    house: House, tmp_path: Path, name: str, content: str | None, words: str
) -> None:
    file = tmp_path / name
    if content is not None:
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
    place = tmp_path if "/" in name else file
    refused = house.parley("import", str(place))
    assert refused.returncode == 1
    [line] = refused.stderr.splitlines()
    assert words in line


def test_what_cannot_be_exported_is_refused_and_nothing_is_left(
    house: House, tmp_path: Path
) -> None:
    missing = house.parley("export", "--thread", "nobody", str(tmp_path / "file"))
    assert (missing.returncode, "no thread nobody" in missing.stderr) == (1, True)
    nowhere = house.parley("export", str(tmp_path / "no" / "folder"))
    assert (nowhere.returncode, "cannot be written" in nowhere.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").write_text("kept")
    taken = house.parley("export", str(tmp_path))
    assert (taken.returncode, "is not empty" in taken.stderr) == (1, True)
