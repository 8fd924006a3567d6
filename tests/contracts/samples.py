"""One example of every message on the wire; tests/contracts/golden/ holds what each looks like."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from parley_contracts import (
    agents,
    catalog,
    errors,
    events,
    letters,
    messages,
    sessions,
    subjects,
    system,
    threads,
    turns,
)
from parley_contracts.base import Contract, Empty

AT = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)

USAGE = turns.Usage(input_tokens=20, output_tokens=5, cached_tokens=8, reasoning_tokens=2)
ERROR = messages.TurnError(kind="unreachable", detail="The model server is down; start it.")
QUESTION = messages.Message(
    id="m1", thread_id="t1", position=1, role="user", text="What is 6 × 7? 🙂", agent_id="a1",
    turn_id="u1", channel="web", origin={"browser": "Firefox"}, created_at=AT,
)  # fmt: skip
READ = messages.HistoryMessage(
    id="m1", position=1, role="user", text="What is 6 × 7? 🙂", agent_id="a1"
)
ANSWER = messages.Message(
    id="m2", thread_id="t1", position=2, role="agent", text="Let me see.\n\n42", agent_id="a1",
    turn_id="u1", channel="web", created_at=AT,
    parts=(
        messages.ReasoningPart(step=0, text="Six times seven."),
        messages.TextPart(step=0, text="Let me see."),
        messages.ToolPart(
            step=0, call_id="c1", name="calculator", arguments='{"expression": "6*7"}',
            output="42", status="ok", duration_ms=3,
        ),
        messages.TextPart(step=1, text="\n\n42"),
    ),
)  # fmt: skip
TURN = turns.Turn(
    id="u1", thread_id="t1", message_id="m1", agent_id="a1", status="completed", attempt=1,
    model="local:qwen3", usage=USAGE, first_token_ms=120, created_at=AT, started_at=AT,
    finished_at=AT,
)  # fmt: skip
AGENT = agents.Agent(
    id="a1", handle="parley", name="Parley", description="Helps.", model="auto",
    system_prompt="You are Parley.", tools=("calculator",), skills=("weekly-review",),
    policies={"calculator": "ask"}, parameters={"temperature": 0.2}, fallbacks=("echo:demo",),
    revision=3, created_at=AT, updated_at=AT,
)  # fmt: skip
THREAD = threads.Thread(
    id="t1", title="Sums", agent_id="a1", head=2, rev=4, open_turn="u1", queued=1,
    parent=threads.ForkPoint(thread_id="t0", position=1, message_id="m0"), created_at=AT,
    active_at=AT,
)  # fmt: skip
SESSION = sessions.Session(id="s1", created_at=AT, seen_at=AT, expires_at=AT)
_LETTER: dict[str, Any] = {
    "id": "PARLEY_TURNS-7", "subject": "parley.turns.t1", "reason": "This is no turn.", "size": 9,
    "start": "no turn \\xff", "kept_at": AT,
}  # fmt: skip
CLAIM = turns.Claim(turn_id="u1", attempt=1, claim="k1")
CALL = turns.ToolCall(id="c1", name="calculator", arguments='{"expression": "6*7"}')
ANSWER_STEP = turns.AnswerStep(number=0, text="Let me see.", calls=(CALL,), usage=USAGE)
RESULT_STEP = turns.ResultStep(
    number=1, call_id="c1", name="calculator", output="42", status="ok", duration_ms=3
)
_T: dict[str, Any] = {"thread_id": "t1", "turn_id": "u1", "attempt": 1, "at": AT}
_TOOL: dict[str, Any] = {"step": 0, "call_id": "c1", "name": "calculator"}
_ACCEPT: dict[str, Any] = {"message_id": "m9", "turn_id": "u9", "thread_id": "t9"}

SAMPLES: tuple[Contract, ...] = (
    Empty(),
    errors.Conflict("The agent was changed meanwhile; load it again.", field="revision").problem(),
    threads.CreateThread(id="t1", title="Sums", agent_id="parley"),
    threads.ListThreads(q="sums", limit=20, cursor="abc"),
    threads.ReadThread(id="t1", limit=60, before=61),
    threads.UpdateThread(id="t1", title="Sums"),
    threads.NameThread(id="t1", title="Sums"),
    threads.ThreadRef(id="t1"),
    threads.ForkThread(thread_id="t1", message_id="m2", id="t2"),
    threads.ImportThread(
        id="t3", title="Old", messages=(threads.ImportMessage(role="user", text="Hello"),)
    ),
    THREAD,
    threads.ThreadList(threads=(THREAD,), cursor="abc"),
    threads.ThreadView(
        thread=THREAD, messages=(QUESTION, ANSWER), before=None, turn=TURN, turns=(TURN,),
        siblings=(threads.Siblings(position=1, threads=("t1", "t2")),),
    ),
    threads.Accepted(message=QUESTION, turn=TURN),
    messages.SendMessage(
        thread_id="t1", text="Hello", id="m1", turn_id="u1", client_id="web:1", agent_id="parley"
    ),
    messages.MessageRef(id="m1"),
    messages.UpdateMessage(id="m1", text="Hello!"),
    messages.EditMessage(id="m1", text="Hello!", **_ACCEPT),
    messages.RegenerateMessage(id="m2", agent_id="echo", **_ACCEPT),
    ANSWER,
    turns.TurnRef(id="u1"),
    turns.TurnSlot(turn_id="u1", dispatch_no=1),
    turns.BeginTurn(turn_id="u1", dispatch_no=1, claim="k1", worker_id="w1"),
    turns.TurnGranted(
        turn=TURN, claim=CLAIM, agent=AGENT, message=QUESTION, history=(READ,),
        agents={"a1": "Parley"}, steps=(ANSWER_STEP, RESULT_STEP), decisions={"c1": "allow"},
        untitled=True, lease_s=10,
    ),
    turns.TurnBusy(retry_s=2.5),
    turns.TurnOver(reason="finished"),
    turns.ReadHistory(claim=CLAIM, before=100),
    turns.HistoryPage(messages=(READ,), before=50),
    turns.RecordStep(claim=CLAIM, step=RESULT_STEP),
    turns.FinishTurn(
        claim=CLAIM, outcome="completed", text=ANSWER.text, parts=ANSWER.parts, usage=USAGE,
        model="local:qwen3", first_token_ms=120, last_number=9, slot_sequence=17,
    ),
    turns.ReleaseTurn(claim=CLAIM, slot_sequence=17),
    turns.CancelTurn(id="u1"),
    turns.RetryTurn(id="u1", turn_id="u2", message_id="m3"),
    turns.DecideTurn(id="u1", step="c1", decision="allow"),
    turns.Beat(worker_id="w1", claims=(CLAIM,)),
    turns.BeatReply(held=("u1",), cancelling=("u2",), lost=("u3",), lease_s=10),
    TURN,
    agents.CreateAgent(id="a1", handle="parley", name="Parley"),
    agents.UpdateAgent(id="a1", revision=3, tools=("calculator",)),
    agents.AgentRef(id="parley"),
    agents.AgentList(agents=(AGENT,)),
    AGENT,
    sessions.SignIn(token="secret", label="Firefox"),
    sessions.SignedIn(id="s1", secret="secret", expires_at=AT),
    sessions.CheckSession(secret="secret"),
    sessions.SessionRef(id="s1"),
    SESSION,
    sessions.SessionList(sessions=(SESSION,)),
    catalog.CatalogEntry(
        worker_id="w1", slots=64, running=1, started_at=AT, default_model="local:qwen3",
        tools=(catalog.ToolInfo(name="calculator", description="Sums", repeatable=True),),
        skills=(catalog.SkillInfo(name="bad", problem="SKILL.md has no description"),),
        models=(catalog.ModelInfo(id="local:qwen3"),),
        providers=(catalog.ProviderInfo(name="local", base_url="http://h", reachable=True),),
    ),
    letters.KeepLetter.of(subjects.TURNS, "t1", 7, b"no turn \xff"),
    letters.ListLetters(limit=20),
    letters.LetterList(letters=(letters.Letter(**_LETTER),), total=1),
    letters.LetterRef(id="PARLEY_TURNS-7"),
    letters.LetterContent(**_LETTER, payload="bm8gdHVybiD/"),
    system.SystemStatus(
        version="0.1.0", database=system.DatabaseStatus(ok=True, kind="sqlite"), threads=1,
        turns=system.QueueStatus(
            running=1, dispatched=0, queued=2, waiting=0, oldest_wait_s=1.5
        ),
        workers=(system.WorkerStatus(worker_id="w1", turns=1, seen_at=AT),),
    ),
    system.ReadUsage(since=AT, by="agent"),
    system.UsageReport(
        rows=(system.UsageRow(key="a1", turns=2, failed=1, input_tokens=20, output_tokens=5),)
    ),
    events.MessageAccepted(**_T | {"attempt": 0}, number=0, rev=3, message=QUESTION),
    events.TurnQueued(**_T | {"attempt": 0}, number=1, rev=3, ahead=2),
    events.TurnStarted(**_T, number=0, agent_id="a1", message_id="m1", position=1),
    events.TurnRestarted(
        **_T | {"attempt": 2}, number=0, agent_id="a1", message_id="m1", position=1, text="Let"
    ),
    events.ModelLoading(**_T, number=1, detail="loading qwen3"),
    events.TextDelta(**_T, number=2, offset=0, text="Let me see."),
    events.ReasoningDelta(**_T, number=3, offset=0, text="Six times seven."),
    events.ToolStarted(**_T, number=4, **_TOOL, arguments=CALL.arguments),
    events.ToolFinished(**_T, number=5, **_TOOL, output="42", status="ok", duration_ms=3),
    events.ApprovalRequested(**_T, number=6, **_TOOL, arguments=CALL.arguments),
    events.MessageReady(**_T, number=7, rev=4, message=ANSWER),
    events.TurnFailed(**_T, number=7, rev=4, error=ERROR),
    events.TurnCancelled(**_T, number=7, rev=4, reason="stopped by the owner"),
    events.MessageChanged(thread_id="t1", rev=5, at=AT, message=QUESTION, removed=True),
    events.ThreadChanged(thread_id="t1", rev=5, at=AT, thread=THREAD),
    events.AgentChanged(at=AT, agent=AGENT),
    events.DeliveryChanged(thread_id="t1", at=AT, delivery_id="d1", status="sent"),
    events.CatalogChanged(at=AT, worker_id="w1"),
    events.SessionsChanged(at=AT),
)  # fmt: skip
