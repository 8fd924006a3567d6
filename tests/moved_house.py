"""A house on one machine that moves: its threads, forks, agents, sign-ins have to come along."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from house import House

AGENT = {"id": "sage", "handle": "sage", "name": "Sage 🦉", "model": "echo:plain"}


@dataclass(frozen=True)
class Moving:
    """A backup, with what a browser that had signed in saw when it was made."""

    backup: Path
    cookies: dict[str, str]
    saw: dict[str, Any]


def packed(house: House, backup: Path) -> Moving:
    """Start a house, let it have a history, take its backup, stop it."""
    house.start()
    try:
        cookies = _sign_in(house)
        _live(house)
        assert house.parley("backup", str(backup)).returncode == 0
        return Moving(backup, cookies, seen(house.url, cookies))
    finally:
        house.stop()


def _sign_in(house: House) -> dict[str, str]:
    with httpx2.Client(base_url=house.url, timeout=60) as browser:
        assert browser.post("/api/login", json={"token": house.token}).status_code == 204
        return dict(browser.cookies)


def _live(house: House) -> None:
    """Make an agent with two revisions, a thread with an answer, and a fork that went on."""
    headers = {"Authorization": f"Bearer {house.token}"}
    with httpx2.Client(base_url=house.url, headers=headers, timeout=60) as api:
        assert api.post("/api/agents", json=AGENT).status_code == 201
        change = {"revision": 1, "name": "Sage, older"}
        assert api.patch("/api/agents/sage", json=change).status_code == 200
        told = house.parley("send", "--agent", "sage", "[[think x]]come along").stderr
        thread = told.split()[1]
        fork = api.post(f"/api/threads/{thread}/fork", json={}).json()["id"]
    assert house.parley("send", "--thread", fork, "[[think x]]this way").returncode == 0


def seen(url: str, cookies: dict[str, str]) -> dict[str, Any]:
    """Return what the browser that signed in long ago sees: agents, threads, messages."""
    with httpx2.Client(base_url=url, cookies=cookies, timeout=60) as api:
        listed = api.get("/api/threads").json()["threads"]
        opened = {each["id"]: api.get(f"/api/threads/{each['id']}").json() for each in listed}
        agents = api.get("/api/agents").json()
    assert len(opened) == 2
    parts = ("thread", "messages", "siblings")
    threads = {id: [view.get(part) for part in parts] for id, view in opened.items()}
    return {"agents": agents, "threads": threads}
