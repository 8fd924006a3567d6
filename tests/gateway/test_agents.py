"""Agents: made, changed with a revision, never two of one handle."""

from __future__ import annotations

import pytest
from gateway_store import Store
from parley_contracts.agents import Agent, AgentList, AgentRef, CreateAgent, UpdateAgent
from parley_contracts.errors import Conflict, Invalid, NotFound
from parley_gateway.defaults import ensure_agents
from parley_gateway.store import agents, views


async def create(store: Store, handle: str, **fields: object) -> Agent:
    command = CreateAgent.model_validate({"handle": handle, "name": handle.title(), **fields})
    return await store.run(agents.create, command)


async def listed(store: Store) -> list[str]:
    async with store.database.reading() as connection:
        found: AgentList = await views.list_agents(connection)
    return [agent.handle for agent in found.agents]


async def test_parley_comes_first_and_echo_always_exists(store: Store) -> None:
    assert await listed(store) == ["parley", "echo"]
    await ensure_agents(store.database.writer)
    assert await listed(store) == ["parley", "echo"]


async def test_echo_keeps_its_handle_and_answers_without_a_model(store: Store) -> None:
    for field, value in (("handle", "parrot"), ("model", "openai:gpt-5")):
        command = UpdateAgent.model_validate({"id": "echo", "revision": 1, field: value})
        with pytest.raises(Invalid, match="@echo") as refusal:
            await store.run(agents.change, command)
        assert refusal.value.field == field
    command = UpdateAgent(id="echo", revision=1, model="echo:demo", name="Parrot")
    assert (await store.run(agents.change, command)).name == "Parrot"


async def test_an_agent_is_changed_by_its_handle_too(store: Store) -> None:
    made = await create(store, "coder")
    changed = await store.run(agents.change, UpdateAgent(id="coder", revision=1, name="A"))
    assert (changed.id, changed.name) == (made.id, "A")


async def test_an_agent_keeps_every_setting(store: Store) -> None:
    made = await create(
        store,
        "coder",
        model="local:qwen/qwen3:8b",
        system_prompt="Write code.",
        tools=["calculator"],
        skills=["weekly-review"],
        policies={"calculator": "ask"},
        parameters={"temperature": 0.2},
        fallbacks=["echo:demo"],
    )
    by_handle = await store.query(views.read_agent, AgentRef(id="coder"))
    assert Agent.model_validate_json(by_handle) == made
    assert store.last_event("agent_changed").agent == made


async def test_a_change_makes_the_next_revision(store: Store) -> None:
    made = await create(store, "coder", description="before")
    command = UpdateAgent(id=made.id, revision=1, description="after", tools=())
    changed = await store.run(agents.change, command)
    assert (changed.revision, changed.description, changed.name) == (2, "after", "Coder")


async def test_a_stale_revision_is_refused(store: Store) -> None:
    made = await create(store, "coder")
    await store.run(agents.change, UpdateAgent(id=made.id, revision=1, name="A"))
    with pytest.raises(Conflict, match="changed meanwhile") as refusal:
        await store.run(agents.change, UpdateAgent(id=made.id, revision=1, name="B"))
    assert refusal.value.kind == "stale-revision"


async def test_a_handle_belongs_to_one_agent(store: Store) -> None:
    await create(store, "coder")
    with pytest.raises(Conflict, match="@coder"):
        await create(store, "coder")
    with pytest.raises(Conflict, match="@coder"):
        await store.run(agents.change, UpdateAgent(id="parley", revision=1, handle="coder"))


async def test_no_name_means_two_agents(store: Store) -> None:
    await create(store, "coder", id="c")
    await store.run(agents.change, UpdateAgent(id="parley", revision=1, handle="old"))
    with pytest.raises(Conflict, match="another handle"):
        await create(store, "parley")
    with pytest.raises(Conflict, match="another id"):
        await create(store, "other", id="coder")
    with pytest.raises(Conflict, match="another handle"):
        await store.run(agents.change, UpdateAgent(id="c", revision=1, handle="parley"))
    back = await store.run(agents.change, UpdateAgent(id="parley", revision=2, handle="parley"))
    assert (back.id, back.handle) == ("parley", "parley")


async def test_rule_18_the_same_agent_again_returns_the_first(store: Store) -> None:
    first = await create(store, "coder", id="c")
    assert await create(store, "coder", id="c") == first
    with pytest.raises(Conflict, match="fresh one"):
        await create(store, "other", id="c")


async def test_an_unknown_agent(store: Store) -> None:
    with pytest.raises(NotFound, match="no agent nobody"):
        await store.query(views.read_agent, AgentRef(id="nobody"))
    with pytest.raises(NotFound):
        await store.run(agents.change, UpdateAgent(id="nobody", revision=1))
