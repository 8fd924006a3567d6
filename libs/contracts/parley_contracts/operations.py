"""Every operation of the gateway: subject, request, reply. A table that readers can scan."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from parley_contracts import agents, letters, messages, sessions, system, threads, turns
from parley_contracts.base import Contract, Empty
from parley_contracts.subjects import RPC

Q = TypeVar("Q", bound=Contract)
R = TypeVar("R")


@dataclass(frozen=True, eq=False)
class Operation(Generic[Q, R]):
    """One request and its reply. `name` is `<noun>.<verb>`; `summary` one line for a stranger."""

    name: str
    request: type[Q]
    reply: Any
    summary: str

    @property
    def subject(self) -> str:
        """The subject that the request is sent to."""
        return f"{RPC}.{self.name}"

    def decode(self, reply: bytes) -> R:
        """Return the reply that the JSON bytes hold."""
        return self._adapter.validate_json(reply)

    @cached_property
    def _adapter(self) -> TypeAdapter[R]:
        return TypeAdapter(self.reply)


THREADS_CREATE = Operation[threads.CreateThread, threads.Thread](
    "threads.create", threads.CreateThread, threads.Thread, "Make a thread."
)
THREADS_LIST = Operation[threads.ListThreads, threads.ThreadList](
    "threads.list",
    threads.ListThreads,
    threads.ThreadList,
    "List or search threads, newest activity first.",
)
THREADS_GET = Operation[threads.ReadThread, threads.ThreadView](
    "threads.get",
    threads.ReadThread,
    threads.ThreadView,
    "Open a thread, or read an older page of it.",
)
THREADS_UPDATE = Operation[threads.UpdateThread, threads.Thread](
    "threads.update",
    threads.UpdateThread,
    threads.Thread,
    "Rename, archive, or hand to another agent.",
)
THREADS_NAME = Operation[threads.NameThread, threads.Thread](
    "threads.name",
    threads.NameThread,
    threads.Thread,
    "Give a thread the title that a model found.",
)
THREADS_DELETE = Operation[threads.ThreadRef, threads.Thread](
    "threads.delete", threads.ThreadRef, threads.Thread, "Delete a thread; it can be restored."
)
THREADS_RESTORE = Operation[threads.ThreadRef, threads.Thread](
    "threads.restore",
    threads.ThreadRef,
    threads.Thread,
    "Take a deletion back; its queue stays paused.",
)
THREADS_FORK = Operation[threads.ForkThread, threads.Thread](
    "threads.fork", threads.ForkThread, threads.Thread, "Fork at any message without copying one."
)
THREADS_RESUME = Operation[threads.ThreadRef, threads.Thread](
    "threads.resume", threads.ThreadRef, threads.Thread, "Go on with a queue that Stop paused."
)
THREADS_IMPORT = Operation[threads.ImportThread, threads.Thread](
    "threads.import",
    threads.ImportThread,
    threads.Thread,
    "Make a thread with history, page by page.",
)
MESSAGES_SEND = Operation[messages.SendMessage, threads.Accepted](
    "messages.send",
    messages.SendMessage,
    threads.Accepted,
    "Accept a message and the turn that answers it.",
)
MESSAGES_GET = Operation[messages.MessageRef, messages.Message](
    "messages.get", messages.MessageRef, messages.Message, "Read one message."
)
MESSAGES_UPDATE = Operation[messages.UpdateMessage, messages.Message](
    "messages.update", messages.UpdateMessage, messages.Message, "Change a queued message."
)
MESSAGES_REMOVE = Operation[messages.MessageRef, messages.Message](
    "messages.remove", messages.MessageRef, messages.Message, "Take a queued message back."
)
MESSAGES_SEND_NOW = Operation[messages.MessageRef, messages.Message](
    "messages.send_now",
    messages.MessageRef,
    messages.Message,
    "Put a queued message first and stop what runs.",
)
MESSAGES_EDIT = Operation[messages.EditMessage, threads.Accepted](
    "messages.edit", messages.EditMessage, threads.Accepted, "Ask differently, in a sibling fork."
)
MESSAGES_REGENERATE = Operation[messages.RegenerateMessage, threads.Accepted](
    "messages.regenerate",
    messages.RegenerateMessage,
    threads.Accepted,
    "Answer again, in a sibling fork.",
)
TURNS_GET = Operation[turns.TurnRef, turns.Turn](
    "turns.get", turns.TurnRef, turns.Turn, "Read one turn."
)
TURNS_BEGIN = Operation[turns.BeginTurn, turns.TurnGranted | turns.TurnBusy | turns.TurnOver](
    "turns.begin", turns.BeginTurn, turns.BeginReply, "Claim a turn (workers)."
)
TURNS_HISTORY = Operation[turns.ReadHistory, turns.HistoryPage](
    "turns.history",
    turns.ReadHistory,
    turns.HistoryPage,
    "Older history of a claimed turn (workers).",
)
TURNS_RECORD_STEP = Operation[turns.RecordStep, Empty](
    "turns.record_step", turns.RecordStep, Empty, "Record a finished step (workers)."
)
TURNS_FINISH = Operation[turns.FinishTurn, turns.Turn](
    "turns.finish", turns.FinishTurn, turns.Turn, "Close or suspend a turn (workers)."
)
TURNS_RELEASE = Operation[turns.ReleaseTurn, Empty](
    "turns.release", turns.ReleaseTurn, Empty, "Give a claim back unfinished (workers)."
)
TURNS_CANCEL = Operation[turns.CancelTurn, turns.Turn](
    "turns.cancel", turns.CancelTurn, turns.Turn, "Stop a turn, keeping what it said."
)
TURNS_RETRY = Operation[turns.RetryTurn, turns.Turn](
    "turns.retry", turns.RetryTurn, turns.Turn, "Answer again after a failure or stop."
)
TURNS_DECIDE = Operation[turns.DecideTurn, turns.Turn](
    "turns.decide", turns.DecideTurn, turns.Turn, "Allow or deny a tool call that waits."
)
WORKERS_BEAT = Operation[turns.Beat, turns.BeatReply](
    "workers.beat", turns.Beat, turns.BeatReply, "A worker's sign of life (workers)."
)
AGENTS_LIST = Operation[Empty, agents.AgentList](
    "agents.list", Empty, agents.AgentList, "List the agents."
)
AGENTS_GET = Operation[agents.AgentRef, agents.Agent](
    "agents.get", agents.AgentRef, agents.Agent, "Read one agent, by id or handle."
)
AGENTS_CREATE = Operation[agents.CreateAgent, agents.Agent](
    "agents.create", agents.CreateAgent, agents.Agent, "Make an agent."
)
AGENTS_UPDATE = Operation[agents.UpdateAgent, agents.Agent](
    "agents.update", agents.UpdateAgent, agents.Agent, "Change an agent, based on a revision."
)
SESSIONS_SIGN_IN = Operation[sessions.SignIn, sessions.SignedIn](
    "sessions.sign_in",
    sessions.SignIn,
    sessions.SignedIn,
    "Exchange the access token for a session.",
)
SESSIONS_CHECK = Operation[sessions.CheckSession, sessions.Session](
    "sessions.check",
    sessions.CheckSession,
    sessions.Session,
    "Tell whether a session or token is good.",
)
SESSIONS_LIST = Operation[Empty, sessions.SessionList](
    "sessions.list", Empty, sessions.SessionList, "List the sign-ins."
)
SESSIONS_REVOKE = Operation[sessions.SessionRef, Empty](
    "sessions.revoke", sessions.SessionRef, Empty, "End a sign-in."
)
LETTERS_KEEP = Operation[letters.KeepLetter, Empty](
    "letters.keep", letters.KeepLetter, Empty, "Keep what nothing can read (workers)."
)
LETTERS_LIST = Operation[letters.ListLetters, letters.LetterList](
    "letters.list",
    letters.ListLetters,
    letters.LetterList,
    "List turns that killed their workers, and what nothing can read.",
)
LETTERS_GET = Operation[letters.LetterRef, letters.LetterContent](
    "letters.get", letters.LetterRef, letters.LetterContent, "Read one dead letter, bytes and all."
)
LETTERS_REMOVE = Operation[letters.LetterRef, Empty](
    "letters.remove", letters.LetterRef, Empty, "Forget a dead letter."
)
SYSTEM_STATUS = Operation[Empty, system.SystemStatus](
    "system.status", Empty, system.SystemStatus, "The state of database, queues and workers."
)
SYSTEM_USAGE = Operation[system.ReadUsage, system.UsageReport](
    "system.usage", system.ReadUsage, system.UsageReport, "Turns and tokens, grouped."
)

OPERATIONS: tuple[Operation[Any, Any], ...] = tuple(
    each for each in list(globals().values()) if isinstance(each, Operation)
)
"""All of them, in the order of this page."""
