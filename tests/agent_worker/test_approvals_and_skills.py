"""What the owner decides, and what an agent has learnt: policies, approvals, skills."""

from __future__ import annotations

from typing import Any

import pytest
from agent_worker.reading import answered, calls
from agent_worker.stage import Client, Stage
from fakes.model_process import ModelProcess
from parley_contracts import operations as op
from parley_contracts.events import ApprovalRequested, Event, ToolFinished, TurnRestarted
from parley_contracts.turns import DecideTurn, Decision

SKILL = "---\nname: {name}\ndescription: About {name}.\n---\n{body}"


async def decide(client: Client, turn_id: str, call_id: str, decision: Decision) -> None:
    request = DecideTurn(id=turn_id, step=call_id, decision=decision)
    await client.bus.request(op.TURNS_DECIDE, request)


async def waiting_turn(client: Client, **settings: Any) -> str:
    """Return a turn that waits for a decision on its call `a`."""
    asking = {"tools": ["look", "write"], "policies": {"write": "ask"}, **settings}
    thread = await client.thread((await client.agent(**asking)).id)
    turn_id = await client.send(thread, "hi")
    await client.kind(turn_id, "approval_requested")
    return turn_id


def outcomes(events: list[Event]) -> list[tuple[str, str]]:
    return [(each.call_id, each.status) for each in events if isinstance(each, ToolFinished)]


async def test_rule_15_a_call_waits_for_the_owner_and_runs_once_when_allowed(
    client: Client, model_server: ModelProcess, running_stage: Stage
) -> None:
    asked = calls(("a", "write", '{"what": "allowed"}'), ("b", "look", '{"what": "allowed"}'))
    model_server.script([{"text": "May I?"}, asked], [{"text": "Thanks."}])
    turn_id = await waiting_turn(client)
    assert "write allowed" not in running_stage.noted()
    assert running_stage.noted().count("look allowed") == 1
    await decide(client, turn_id, "a", "allow")
    events = await client.closed(turn_id)
    assert answered(events).text == "May I?\n\nThanks."
    assert outcomes(events) == [("b", "ok"), ("a", "ok")]
    assert running_stage.noted().count("write allowed") == 1
    assert running_stage.noted().count("look allowed") == 1
    (again,) = [event for event in events if isinstance(event, TurnRestarted)]
    assert (again.text, again.attempt) == ("May I?", 2)


async def test_rule_15_a_denied_call_is_told_to_the_model(
    client: Client, model_server: ModelProcess, running_stage: Stage
) -> None:
    model_server.script([calls(("a", "write", '{"what": "denied"}'))], [{"text": "All right."}])
    turn_id = await waiting_turn(client)
    await decide(client, turn_id, "a", "deny")
    events = await client.closed(turn_id)
    assert outcomes(events) == [("a", "denied")]
    assert "write denied" not in running_stage.noted()
    told = model_server.requests()[1]["messages"][-1]
    assert told == {
        "role": "tool",
        "tool_call_id": "a",
        "content": "The owner has denied this call.",
    }


async def test_rule_15_each_call_waits_for_its_own_decision(
    client: Client, model_server: ModelProcess
) -> None:
    two = calls(("a", "write", '{"what": "one"}'), ("b", "write", '{"what": "two"}'))
    model_server.script([two], [{"text": "Done."}])
    turn_id = await waiting_turn(client)
    await decide(client, turn_id, "b", "allow")

    def asks_again(event: Event) -> bool:
        return isinstance(event, ApprovalRequested) and event.attempt == 2

    remaining = await client.seen(turn_id, asks_again)
    assert isinstance(remaining, ApprovalRequested)
    assert remaining.call_id == "a"
    await decide(client, turn_id, "a", "deny")
    assert outcomes(await client.closed(turn_id)) == [("b", "ok"), ("a", "denied")]


async def test_a_tool_that_is_never_allowed_is_neither_offered_nor_run(
    client: Client, model_server: ModelProcess, running_stage: Stage
) -> None:
    model_server.script([calls(("a", "write", '{"what": "never"}'))], [{"text": "Pity."}])
    tools = ["look", "write"]
    events = await client.ask("hi", tools=tools, policies={"write": "never"})
    assert outcomes(events) == [("a", "denied")]
    assert "write never" not in running_stage.noted()
    offered = model_server.requests()[0]["tools"]
    assert [tool["function"]["name"] for tool in offered] == ["look"]


@pytest.fixture
def garden(running_stage: Stage) -> Stage:
    """The stage with a skill of this test."""
    folder = running_stage.skills / "garden"
    folder.mkdir(exist_ok=True)
    (folder / "SKILL.md").write_text(SKILL.format(name="garden", body="Water it."))
    (folder / "plants.md").write_text("Roses.")
    return running_stage


async def test_an_agent_with_a_skill_knows_of_it_and_loads_it(
    client: Client, model_server: ModelProcess, garden: Stage
) -> None:
    load = calls(("a", "load_skill", '{"name": "garden"}'))
    read = calls(("b", "read_skill_file", '{"name": "garden", "path": "plants.md"}'))
    model_server.script([load], [read], [{"text": "Water the roses."}])
    await client.ask("hi", skills=["garden"], system_prompt="Be kind.")
    first, second, third = model_server.requests()
    assert first["messages"][0]["content"].startswith("Be kind.\n\n<available_skills>\n- garden: ")
    assert [tool["function"]["name"] for tool in first["tools"]] == [
        "load_skill",
        "read_skill_file",
    ]
    assert "Water it." in second["messages"][-1]["content"]
    assert third["messages"][-1]["content"] == "Roses."


async def test_an_agent_without_a_skill_gets_neither_catalogue_nor_tools(
    client: Client, model_server: ModelProcess, garden: Stage
) -> None:
    await client.ask("/garden please", skills=["missing"])
    (request,) = model_server.requests()
    assert "tools" not in request
    assert request["messages"] == [{"role": "user", "content": "/garden please"}]


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("/nothing please", "There is no skill “nothing”, so this was answered without one."),
        ("/garden", "does not have the skill “garden”"),
        ("/broken now", "The skill “broken” was not used: "),
    ],
)
async def test_a_skill_that_is_called_in_vain_is_told_in_the_answer(
    client: Client, model_server: ModelProcess, garden: Stage, text: str, note: str
) -> None:
    (garden.skills / "broken").mkdir(exist_ok=True)
    (garden.skills / "broken" / "SKILL.md").write_text("no front matter")
    model_server.script([{"text": "Done."}])
    thread = await client.thread((await client.agent()).id)
    answer = answered(await client.closed(await client.send(thread, text)))
    assert (answer.status, answer.text) == ("complete", "Done.")
    assert note in " ".join(answer.notes)


@pytest.mark.parametrize("text", ["/etc/hosts", "/", "/ garden", "see /nothing", "/garden.txt"])
async def test_a_path_is_no_skill(
    client: Client, model_server: ModelProcess, garden: Stage, text: str
) -> None:
    model_server.script([{"text": "Done."}])
    thread = await client.thread((await client.agent()).id)
    assert answered(await client.closed(await client.send(thread, text))).notes == ()


async def test_an_agents_missing_tools_and_skills_are_told_in_its_answer(
    client: Client, model_server: ModelProcess, garden: Stage
) -> None:
    model_server.script([{"text": "Done."}])
    events = await client.ask("hi", tools=["gone", "look"], skills=["garden", "lost"])
    tools, skills = answered(events).notes
    assert tools.endswith("without these of its tools, which are not there: gone.")
    assert skills.endswith("without these of its skills, which are not there: lost.")


async def test_an_answer_that_the_models_limit_cut_says_so(
    client: Client, model_server: ModelProcess
) -> None:
    model_server.script([{"text": "Once upon"}, {"finish": "length"}])
    answer = answered(await client.ask("A story"))
    assert (answer.status, answer.text) == ("complete", "Once upon")
    assert "limit of tokens" in answer.notes[0]


async def test_an_edited_skill_works_in_the_next_turn(
    client: Client, model_server: ModelProcess, garden: Stage
) -> None:
    thread = await client.thread((await client.agent(skills=["garden"])).id)
    await client.closed(await client.send(thread, "/garden please"))
    file = garden.skills / "garden" / "SKILL.md"
    file.write_text(SKILL.format(name="garden", body="Water it twice."))
    await client.closed(await client.send(thread, "/garden again"))
    first, second = model_server.requests()
    assert "Water it.\n" in first["messages"][-1]["content"]
    assert "Water it twice." in second["messages"][-1]["content"]
