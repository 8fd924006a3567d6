"""A database in which everything occurs that a gateway stores, and what is read back of it."""

from __future__ import annotations

import json
from typing import Any

from gateway_store import Store
from parley_contracts.agents import CreateAgent, UpdateAgent
from parley_contracts.messages import EditMessage, ReasoningPart, TextPart, ToolPart, TurnError
from parley_contracts.threads import (
    ForkThread,
    ImportMessage,
    ImportThread,
    ListThreads,
    ReadThread,
    ThreadRef,
    UpdateThread,
)
from parley_contracts.turns import (
    AnswerStep,
    CancelTurn,
    Claim,
    DecideTurn,
    RecordStep,
    ResultStep,
    ToolCall,
    Usage,
)
from parley_gateway.store import (
    agents,
    claims,
    forks,
    imports,
    listing,
    reports,
    sessions,
    stopping,
    threads,
    turns,
    views,
)
from parley_gateway.store.dump import LEFT_OUT
from parley_gateway.store.schema import metadata
from sqlalchemy import URL, create_engine, select

CALL = ToolCall(id="call-1", name="calculator", arguments='{"expression": "6*7"}')
RESULT = ResultStep(number=1, call_id="call-1", name="calculator", output="42", status="ok")
ANSWER = AnswerStep(number=0, reasoning="multiply", calls=(CALL,))
TOOL = ToolPart(
    step=0,
    call_id=CALL.id,
    name=CALL.name,
    arguments=CALL.arguments,
    output=RESULT.output,
    status=RESULT.status,
)
THREADS = ("lived", "fork", "grandchild", "edited", "asking", "brought", "archived", "deleted")


async def fill(store: Store) -> str:
    """Store threads in every state, forks, agents, steps and a sign-in; return its secret."""
    await _agents(store)
    await _conversation(store)
    await _forks(store)
    await _asking(store)
    await _put_away(store)
    signed_in = await store.run(sessions.start, "Firefox on Linux")
    return signed_in.secret


async def _agents(store: Store) -> None:
    settings = {"tools": ("calculator",), "skills": ("explain-simply",), "parameters": {"top_p": 1}}
    guide = {"handle": "guide", "name": "Guide", "policies": {"calculator": "ask"}, **settings}
    await store.run(agents.create, CreateAgent.model_validate({"id": "guide", **guide}))
    await store.run(agents.change, UpdateAgent(id="guide", revision=1, name="Wegweiser 🧭"))


async def _conversation(store: Store) -> None:
    """An answer with a tool, a failure, a turn that runs after a step, and one that waits."""
    await store.thread("lived", title="Ein Leben", agent_id="guide")
    first = await store.send("six times seven? 😀", "lived", client_id="c-1", origin={"line": 1})
    grant = await store.begin(first.turn.id, "claim-1")
    await _record_tool(store, grant.claim)
    await store.finish(
        grant.claim,
        "It is 42.",
        parts=(
            ReasoningPart(step=0, text="multiply"),
            TOOL,
            TextPart(step=1, text="It is 42."),
        ),
        usage=Usage(input_tokens=12, output_tokens=5),
        model="echo:plain",
        first_token_ms=3,
    )
    failing = await store.send("fail, please", "lived")
    claim = (await store.begin(failing.turn.id, "claim-2")).claim
    error = TurnError(kind="rate-limit", detail="The provider asks for a pause; try again later.")
    await store.finish(claim, "Well", outcome="failed", error=error)
    running = await store.send("\u2028 ‮again", "lived")
    await _record_tool(store, (await store.begin(running.turn.id, "claim-3")).claim)
    await store.send("and then?", "lived")


async def _record_tool(store: Store, claim: Claim) -> None:
    await store.run(claims.record_step, RecordStep(claim=claim, step=ANSWER))
    await store.run(claims.record_step, RecordStep(claim=claim, step=RESULT))


async def _forks(store: Store) -> None:
    """A fork, a fork of it, and another version of a message."""
    first, answer, *_ = (await store.view("lived")).messages
    await store.run(forks.fork, ForkThread(id="fork", thread_id="lived", message_id=answer.id))
    await store.exchange("another way", "indeed", "fork")
    await store.run(forks.fork, ForkThread(id="grandchild", thread_id="fork"))
    await store.exchange("deeper", "and deeper", "grandchild")
    edit = EditMessage(id=first.id, text="seven times six?", thread_id="edited")
    await store.answer((await store.run(forks.edit, edit)).turn.id, "The same.")


async def _asking(store: Store) -> None:
    """A turn that waits for the owner's decision on one of two calls."""
    await store.thread("asking", agent_id="guide")
    accepted = await store.send("may you?", "asking")
    claim = (await store.begin(accepted.turn.id, "claim-4")).claim
    other = CALL.model_copy(update={"id": "call-2"})
    step = AnswerStep(number=0, text="I ask.", calls=(CALL, other))
    await store.finish(claim, "I ask.", outcome="waiting", step=step)
    decision = DecideTurn(id=accepted.turn.id, step=CALL.id, decision="allow")
    await store.run(turns.decide, decision)


async def _put_away(store: Store) -> None:
    """A thread that was imported, one in the archive, a stopped one that was deleted."""
    page = (ImportMessage(role="user", text="hello"), ImportMessage(role="agent", text="hi"))
    await store.run(imports.take_page, ImportThread(id="brought", title="Brought", messages=page))
    await store.thread("archived")
    await store.exchange("keep this", "kept", "archived")
    await store.run(threads.change, UpdateThread(id="archived", status="archived"))
    await store.thread("deleted")
    stopped = await store.send("never mind", "deleted")
    await store.begin(stopped.turn.id, "claim-5")
    await store.run(stopping.cancel, CancelTurn(id=stopped.turn.id))
    await store.run(threads.delete, ThreadRef(id="deleted"))


async def read_back(store: Store, secret: str) -> dict[str, Any]:
    """Return all that others see of these contents, as JSON."""
    found = {id: await store.query(views.open_thread, ReadThread(id=id)) for id in THREADS}
    async with store.database.reading() as connection:
        known = await views.list_agents(connection)
        signed_in = await reports.find_session(connection, secret, store.clock())
        listed = await listing.list_threads(connection, ListThreads())
    seen = {"agents": known, "session": signed_in, "list": listed}
    return {
        **{id: _sorted(json.loads(view)) for id, view in found.items()},
        **{name: json.loads(each.encode()) for name, each in seen.items()},
        "steps": [list(row) for row in await store.rows("SELECT * FROM turn_steps ORDER BY 1, 2")],
        "decisions": [list(row) for row in await store.rows("SELECT * FROM turn_decisions")],
    }


def _sorted(view: dict[str, Any]) -> dict[str, Any]:
    """Return the view with its turns in order, which says nothing."""
    return {**view, "turns": sorted(view["turns"], key=lambda turn: str(turn["id"]))}


def rows_of(url: URL) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of a database, by table; what no backup holds is left out."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
            if table not in LEFT_OUT
        }
    engine.dispose()
    return found
