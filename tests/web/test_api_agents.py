"""Agents, the catalogue and the usage through the HTTP API."""

from __future__ import annotations

from typing import Any

import pytest
from api_client import Api
from parley_contracts.base import new_id


async def made(api: Api, **fields: Any) -> dict[str, Any]:
    fields = {"handle": f"a{new_id()[:12]}", "name": "Ada", "model": "echo:plain", **fields}
    agent: dict[str, Any] = await api.call("POST", "/api/agents", fields, status=201)
    return agent


async def test_an_agent_is_made_listed_and_changed(api: Api) -> None:
    agent = await made(api, tools=["calculator"], parameters={"temperature": 0.5})
    agents = (await api.call("GET", "/api/agents"))["agents"]
    assert agent in agents
    change = {"revision": agent["revision"], "name": "Lovelace", "tools": []}
    changed = await api.call("PATCH", f"/api/agents/{agent['id']}", change)
    assert (changed["name"], changed["tools"]) == ("Lovelace", [])
    assert changed["parameters"] == {"temperature": 0.5}
    assert await api.call("GET", f"/api/agents/{agent['handle']}") == changed


async def test_a_change_based_on_an_old_revision_is_refused(api: Api) -> None:
    agent = await made(api)
    path, change = f"/api/agents/{agent['id']}", {"revision": agent["revision"], "name": "New"}
    await api.call("PATCH", path, change)
    problem = await api.call("PATCH", path, change, status=409)
    assert problem["type"] == "urn:parley:problem:stale-revision"
    problem = await api.call("PATCH", path, {"name": "New"}, status=422)
    assert problem["field"] == "revision"


async def test_an_exported_agent_can_be_imported(api: Api) -> None:
    agent = await made(api, description="Counts 🧮", policies={"calculator": "ask"})
    answer = await api.client.get(f"/api/agents/{agent['id']}/export")
    assert f"{agent['handle']}.json" in answer.headers["content-disposition"]
    settings = answer.json()
    await api.call("POST", "/api/agents/import", settings, status=409)  # the handle is taken
    settings["handle"] = f"b{new_id()[:12]}"
    again = await api.call("POST", "/api/agents/import", settings, status=201)
    assert again["id"] != agent["id"]
    assert {name: again[name] for name in settings} == settings


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"handle": "With Spaces"}, "handle"),
        ({"handle": "ok", "name": " "}, "name"),
        ({"handle": "ok", "name": "Ok", "model": "no-provider"}, "model"),
        ({"handle": "ok", "name": "Ok", "policies": {"x": "maybe"}}, "policies.x"),
    ],
)
async def test_wrong_settings_are_refused_with_the_field(
    api: Api, fields: dict[str, Any], field: str
) -> None:
    problem = await api.call("POST", "/api/agents", fields, status=422)
    assert problem["field"].startswith(field)


async def test_the_catalogue_shows_what_the_workers_offer(api: Api) -> None:
    catalog = await api.call("GET", "/api/catalog")
    assert {"calculator", "current_time"} <= {tool["name"] for tool in catalog["tools"]}
    assert len({skill["name"] for skill in catalog["skills"]}) >= 2
    (worker,) = catalog["workers"]
    assert worker["default_model"] == "echo:demo"


async def test_usage_is_counted_by_agent_model_thread_and_day(api: Api) -> None:
    thread = await api.new_thread()
    await api.ask(thread, "count me")
    for by in ("agent", "model", "thread", "day"):
        rows = (await api.call("GET", f"/api/usage?by={by}"))["rows"]
        assert sum(row["turns"] for row in rows) >= 1
    (row,) = [
        row
        for row in (await api.call("GET", "/api/usage?by=thread"))["rows"]
        if row["key"] == thread
    ]
    assert (row["turns"], row["failed"]) == (1, 0)


async def test_usage_is_bounded_by_days_and_moments(api: Api) -> None:
    thread = await api.new_thread()
    ready = (await api.ask(thread, "today"))[-1].data["message"]["created_at"]
    today = ready[:10]
    for query, counted in (
        (f"from={today}&to={today}", True),
        ("to=2001-01-01", False),
        (f"from={today}T00:00:00Z", True),
        ("from=2999-01-01", False),
    ):
        rows = (await api.call("GET", f"/api/usage?by=thread&{query}"))["rows"]
        assert (thread in {row["key"] for row in rows}) == counted, query


@pytest.mark.parametrize("day", ["yesterday", "0001-01-01", "9999-12-31", "2026-01-31T12:00"])
@pytest.mark.parametrize("name", ["from", "to"])
async def test_a_bound_of_the_usage_that_is_none_is_named(api: Api, name: str, day: str) -> None:
    problem = await api.call("GET", f"/api/usage?{name}={day}", status=422)
    assert problem["field"] == name
    assert problem["detail"].endswith((" to 9998.", ":00Z."))


async def test_usage_by_something_unknown_is_refused(api: Api) -> None:
    await api.call("GET", "/api/usage?by=colour", status=422)
