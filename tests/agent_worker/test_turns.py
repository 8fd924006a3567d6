"""Turns from a message to its answer, through a real broker, gateway and worker."""

from __future__ import annotations

import json

import pytest
from agent_worker.reading import answered, calls, failed, kinds, said
from agent_worker.stage import Client, Stage
from eventually import eventually
from fakes.model_process import ModelProcess
from parley_bus import Bus, SlotQueue
from parley_contracts.base import Empty
from parley_contracts.events import (
    ReasoningDelta,
    TextDelta,
    ToolFinished,
)
from parley_contracts.messages import ReasoningPart, TextPart, ToolPart
from parley_contracts.subjects import TURNS
from parley_contracts.turns import Usage


async def test_an_answer_streams_word_by_word_and_is_stored(client: Client) -> None:
    events = await client.ask("one two three", model="echo:echo")
    assert kinds(events) == [
        "message_accepted",
        "turn_started",
        "text_delta",
        "text_delta",
        "text_delta",
        "message_ready",
    ]
    assert answered(events).text == "one two three"
    assert answered(events).parts == (TextPart(step=0, text="one two three"),)


async def test_rule_21_the_closing_event_has_the_number_after_the_workers_last(
    client: Client,
) -> None:
    text = '[[think hm]] [[tool calculator {"expression": "6*7"}]]'
    events = await client.ask(text, model="echo:x", tools=["calculator"])
    assert [event.number for event in events[1:]] == list(range(len(events) - 1))
    assert {event.attempt for event in events[1:]} == {1}


async def test_the_calculator_answers_through_the_echo(client: Client) -> None:
    text = 'what is [[tool calculator {"expression": "6*7"}]]'
    events = await client.closed(await client.send(await client.thread("echo"), text))
    assert answered(events).text == "what is 42"
    tools = [part for part in answered(events).parts if isinstance(part, ToolPart)]
    assert [(part.name, part.output, part.status) for part in tools] == [("calculator", "42", "ok")]


async def test_text_reasoning_parallel_calls_and_usage_arrive(
    client: Client, model_server: ModelProcess
) -> None:
    two = calls(("a", "calculator", '{"expression": "6*7"}'), ("b", "current_time", "{}"))
    model_server.script(
        [{"reasoning": "I need tools."}, {"text": "A moment."}, two],
        [{"reasoning": "Good.", "spelling": "reasoning"}, {"text": "It is 42."}],
    )
    events = await client.ask("how much?", tools=["calculator", "current_time"])
    message = answered(events)
    assert message.text == said(events) == "A moment.\n\nIt is 42."
    assert [type(part) for part in message.parts] == [
        ReasoningPart, TextPart, ToolPart, ToolPart, ReasoningPart, TextPart,
    ]  # fmt: skip
    thoughts = [event.text for event in events if isinstance(event, ReasoningDelta)]
    assert "".join(thoughts) == "I need tools.Good."
    assert sorted(event.call_id for event in events if isinstance(event, ToolFinished)) == [
        "a",
        "b",
    ]
    first, second = model_server.requests()
    assert [tool["function"]["name"] for tool in first["tools"]] == ["calculator", "current_time"]
    assert [each["role"] for each in second["messages"]] == ["user", "assistant", "tool", "tool"]
    assert second["messages"][1]["reasoning_content"] == "I need tools."
    assert second["messages"][2] == {"role": "tool", "tool_call_id": "a", "content": "42"}
    turn = await client.turn(message.turn_id)
    read = sum(len((each["content"] or "").split()) for each in second["messages"])
    assert turn.model == "local:fake"
    assert turn.usage == Usage(input_tokens=2 + read, output_tokens=5 + 4)
    assert turn.first_token_ms is not None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("👩‍👩‍👧‍👦 🇪🇺 e\u0301", id="emoji"),
        pytest.param("שלום \u202eעולם\u202c", id="right-to-left"),
        pytest.param("bell \x07, escape \x1b[0m, tab \t, \x7f", id="control"),
        pytest.param("z" * 100_000, id="100 kB"),
    ],
)
@pytest.mark.parametrize("model", ["echo:echo", "local:fake"])
async def test_text_survives_as_it_was_written(
    client: Client, model_server: ModelProcess, text: str, model: str
) -> None:
    model_server.script([{"text": text}])
    events = await client.ask(text, model=model)
    assert answered(events).text == said(events) == text
    if model == "local:fake":
        assert model_server.requests()[0]["messages"][-1]["content"] == text


async def test_the_deltas_joined_are_the_text_and_their_offsets_fit(
    client: Client, model_server: ModelProcess
) -> None:
    model_server.script(
        [{"pieces": ["👩‍🚀 ", "a"]}, calls(("a", "current_time", "{}"))],
        [calls(("b", "current_time", "{}"))],
        [{"pieces": ["\n", "b"]}],
    )
    events = await client.ask("go", tools=["current_time"])
    deltas = [event for event in events if isinstance(event, TextDelta)]
    assert said(events) == answered(events).text == "👩‍🚀 a\n\n\nb"
    offset = 0
    for delta in deltas:
        assert delta.offset == offset
        offset += len(delta.text)


async def test_five_quick_messages_are_answered_in_order_each_seeing_the_answers_before(
    client: Client, model_server: ModelProcess
) -> None:
    thread = await client.thread((await client.agent()).id)
    turns = [await client.send(thread, f"number {n}") for n in range(5)]
    answers = [answered(await client.closed(turn)) for turn in turns]
    assert [answer.text for answer in answers] == [
        f"I have read {2 * n + 1} messages. You said: number {n}" for n in range(5)
    ]
    assert [answer.position for answer in answers] == [2, 4, 6, 8, 10]
    last = model_server.requests()[-1]["messages"]
    assert [each["content"] for each in last[1::2]] == [answer.text for answer in answers[:4]]


async def test_three_threads_are_answered_at_the_same_time(
    client: Client, model_server: ModelProcess
) -> None:
    agent = await client.agent()
    waiting = 'wait [[answer [{"text": "a "}, {"gate": "all"}, {"text": "b"}]]]'
    turns = [await client.send(await client.thread(agent.id), waiting) for _ in range(3)]
    for turn in turns:
        await client.kind(turn, "text_delta")
    model_server.open("all")
    assert [answered(await client.closed(turn)).text for turn in turns] == ["a b"] * 3


async def test_loading_is_told_and_is_no_part_of_the_answer(
    client: Client, model_server: ModelProcess
) -> None:
    model_server.script([{"loading": "loading 42 %"}, {"text": "ready"}])
    events = await client.ask("hi")
    assert "model_loading" in kinds(events)
    assert answered(events).text == "ready"


async def test_a_failure_has_its_reason_and_the_thread_goes_on(
    client: Client, model_server: ModelProcess
) -> None:
    thread = await client.thread((await client.agent()).id)
    model_server.script([{"status": 500, "error": {"message": "the template failed"}}])
    error = failed(await client.closed(await client.send(thread, "a"))).error
    assert error.kind == "server-error"
    assert "the template failed" in error.detail
    answer = answered(await client.closed(await client.send(thread, "b")))
    assert answer.text == "I have read 1 messages. You said: a\n\nb"


async def test_what_was_said_before_a_cut_is_kept(
    client: Client, model_server: ModelProcess
) -> None:
    model_server.script([{"text": "half of it"}, {"cut": True}])
    closing = failed(await client.ask("hi", fallbacks=["echo:never"]))
    assert closing.error.kind == "cut"
    assert closing.message
    assert (closing.message.text, closing.message.status) == ("half of it", "failed")


async def test_an_answer_of_nothing_is_a_failure(
    client: Client, model_server: ModelProcess
) -> None:
    model_server.script([{"reasoning": "hm"}, {"finish": "length"}])
    assert failed(await client.ask("hi")).error.kind == "empty"


async def test_a_fallback_answers_when_the_model_cannot_be_reached(client: Client) -> None:
    events = await client.ask("hi", model="openai:gpt", fallbacks=["local:none", "echo:echo"])
    assert answered(events).text == "hi"
    assert (await client.turn(answered(events).turn_id)).model == "echo:echo"


async def test_no_model_says_what_the_first_one_lacks(client: Client) -> None:
    error = failed(await client.ask("hi", model="openai:gpt", fallbacks=["local:none"])).error
    assert error.kind == "unreachable"
    assert error.detail.endswith("set OPENAI_API_KEY and start again.")


async def test_malformed_arguments_are_told_to_the_model_once_and_never_sent_again(
    client: Client, model_server: ModelProcess
) -> None:
    model_server.script([calls(("a", "calculator", '{"expression": '))], [{"text": "I see."}])
    events = await client.ask("hi", tools=["calculator"])
    (tool,) = [part for part in answered(events).parts if isinstance(part, ToolPart)]
    assert (tool.arguments, tool.status) == ('{"expression": ', "error")
    sent = model_server.requests()[1]["messages"][1]["tool_calls"][0]["function"]
    assert sent["arguments"] == "{}"


async def test_a_tool_that_the_agent_has_not_is_refused_in_a_result(
    client: Client, model_server: ModelProcess
) -> None:
    model_server.script([calls(("a", "write", "{}"))], [{"text": "I see."}])
    await client.ask("hi", tools=["calculator"])
    told = model_server.requests()[1]["messages"][-1]["content"]
    assert told == "There is no tool “write”; there are: calculator."


async def test_the_third_identical_call_is_refused_and_the_model_concludes(
    client: Client, model_server: ModelProcess
) -> None:
    same = [calls(("x", "calculator", '{"expression": "1"}'))]
    model_server.script(same, same, same, [{"text": "One."}])
    events = await client.ask("hi", tools=["calculator"])
    statuses = [event.status for event in events if isinstance(event, ToolFinished)]
    assert statuses == ["ok", "ok", "error"]
    ids = [event.call_id for event in events if isinstance(event, ToolFinished)]
    assert len(set(ids)) == 3
    assert [request.get("tool_choice") for request in model_server.requests()] == [
        None, None, None, "none",
    ]  # fmt: skip
    assert answered(events).text == "One."


async def test_a_model_that_never_concludes_is_stopped(
    client: Client, model_server: ModelProcess
) -> None:
    for n in range(12):
        wish = json.dumps({"expression": str(n)})
        model_server.script([calls((f"c{n}", "calculator", wish))])
    events = await client.ask("hi", tools=["calculator"])
    assert failed(events).error.kind == "step-limit"
    statuses = [event.status for event in events if isinstance(event, ToolFinished)]
    assert statuses == ["ok"] * 11 + ["error"]
    assert model_server.requests()[-1]["tool_choice"] == "none"


async def test_the_first_turn_names_the_thread_by_the_model(
    client: Client, model_server: ModelProcess
) -> None:
    model_server.script([{"text": "Paris."}], [{"text": "“Capital of France.”\nor another"}])
    thread_id = await client.thread((await client.agent()).id, title=None)
    await client.closed(await client.send(thread_id, "What is the capital of France?"))

    async def named() -> bool:
        return await client.title(thread_id) == "Capital of France"

    await eventually(named)
    answer, title = model_server.requests()
    assert title["messages"][:-1] == [
        *answer["messages"],
        {"role": "assistant", "content": "Paris."},
    ]


async def test_with_the_echo_the_first_words_are_the_title(client: Client) -> None:
    thread_id = await client.thread("echo", title=None)
    await client.closed(await client.send(thread_id, "[[long 2]] Some words to begin with"))
    assert await client.title(thread_id) == "[[long 2]] Some words to begin with"


async def test_a_history_of_many_pages_reaches_the_model_whole(
    client: Client, model_server: ModelProcess
) -> None:
    agent = await client.agent()
    texts = [f"{n} " + "x" * 90_000 for n in range(120)]
    thread_id = await client.imported(agent.id, texts)
    events = await client.closed(await client.send(thread_id, "and?"))
    assert answered(events).text == "I have read 121 messages. You said: and?"
    (request,) = model_server.requests()
    assert [each["content"] for each in request["messages"]] == [*texts, "and?"]


async def test_an_answer_that_cannot_be_stored_ends_with_the_reason(
    client: Client, model_server: ModelProcess
) -> None:
    model_server.script([{"pieces": ["x" * 9_000_000]}])
    closing = failed(await client.ask("hi"))
    assert closing.error.kind == "unstorable"
    assert closing.error.detail.startswith("The answer could not be stored: This is too large")


async def test_what_nobody_can_read_in_a_slot_is_taken_out(running_stage: Stage) -> None:
    gateway = await Bus.connect(running_stage.broker.context("gateway"), name="gateway")
    slots = SlotQueue(gateway, TURNS)
    await slots.put("unreadable", Empty())

    async def taken_out() -> bool:
        return await slots.peek("unreadable") is None

    await eventually(taken_out)
    await gateway.close()
