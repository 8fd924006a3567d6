"""Threads and turns as rows that commands change, and how they are read and saved.

Whoever touches a thread's queue locks the thread first (rule 4); on SQLite the transaction itself
is the lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from parley_contracts.errors import Conflict, Gone, NotFound
from parley_contracts.messages import Message, TurnError
from parley_contracts.threads import ForkPoint, Thread, ThreadStatus
from parley_contracts.turns import Claim, Turn, TurnSlot, TurnStatus, Usage
from sqlalchemy import bindparam, func, insert, select, update

from parley_gateway.store.schema import OWNER, QUEUED, inline, messages, threads, turns
from parley_gateway.store.statement import Statement
from parley_gateway.store.transaction import Transaction
from parley_gateway.store.words import words

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FINISHED = frozenset({"completed", "failed", "cancelled"})
"""Statuses of turns that nothing can change any more."""


def moment(microseconds: int) -> datetime:
    """Return the moment that a column holds."""
    return _EPOCH + timedelta(microseconds=microseconds)


def microseconds(at: datetime) -> int:
    """Return a moment as columns hold it."""
    return (at - _EPOCH) // timedelta(microseconds=1)


@dataclass
class ThreadRecord:
    """A row of `threads`; `queued` is counted when it is read and never stored."""

    id: str
    title: str
    title_words: str
    agent_id: str
    digest: str
    created_at: int
    active_at: int
    owner_id: str = OWNER
    provisional: bool = True
    status: ThreadStatus = "active"
    head: int = 0
    open_turn: str | None = None
    rev: int = 1
    paused: bool = False
    importing: bool = False
    parent_id: str | None = None
    fork_position: int | None = None
    fork_message_id: str | None = None
    sibling: bool = False
    family: str = ""
    """The thread of which this one and its siblings are versions; itself, unless it is told."""
    queued: int = 0

    def __post_init__(self) -> None:
        self.family = self.family or self.id

    def retitle(self, title: str, *, provisional: bool) -> None:
        """Give the thread a title; a provisional one gives way to a better one."""
        self.title, self.provisional = title, provisional
        self.title_words = searchable(title)

    def view(self) -> Thread:
        """Return the thread as others see it."""
        return Thread(
            id=self.id,
            title=self.title,
            status=self.status,
            agent_id=self.agent_id,
            head=self.head,
            rev=self.rev,
            paused=self.paused,
            open_turn=self.open_turn,
            queued=self.queued,
            parent=self._fork_point(),
            sibling=self.sibling,
            family=self.family,
            created_at=moment(self.created_at),
            active_at=moment(self.active_at),
        )

    def _fork_point(self) -> ForkPoint | None:
        if self.parent_id is None or self.fork_position is None:
            return None
        return ForkPoint(
            thread_id=self.parent_id,
            position=self.fork_position,
            message_id=self.fork_message_id,
        )


@dataclass
class TurnRecord:
    """A row of `turns`."""

    id: str
    thread_id: str
    message_id: str
    agent_id: str
    created_at: int
    status: TurnStatus = "queued"
    queue_no: int = 0
    dispatch_no: int = 0
    attempt: int = 0
    takeovers: int = 0
    agent_revision: int | None = None
    claim: str | None = None
    worker_id: str | None = None
    claimed_at: int | None = None
    lease_until: int | None = None
    cancel_reason: str | None = None
    cancel_at: int | None = None
    retry_of: str | None = None
    reply_id: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    first_token_ms: int | None = None
    error_kind: str | None = None
    error_detail: str | None = None
    started_at: int | None = None
    finished_at: int | None = None

    def holds(self, claim: Claim) -> bool:
        """Whether the claim is the one that this turn was last given to (rule 5)."""
        return self.claim == claim.claim and self.attempt == claim.attempt

    @property
    def running(self) -> bool:
        """Whether a worker may hold it."""
        return self.status in ("open", "cancelling") and self.claim is not None

    @property
    def slot(self) -> TurnSlot:
        """What its slot holds while it is due."""
        return TurnSlot(turn_id=self.id, dispatch_no=self.dispatch_no)

    def next_slot(self) -> TurnSlot:
        """Return what its slot is to hold from now on: the next dispatch number."""
        self.dispatch_no += 1
        return self.slot

    def use(self, usage: Usage | None) -> None:
        """Note the tokens that the turn cost."""
        if usage is not None:
            self.input_tokens, self.output_tokens = usage.input_tokens, usage.output_tokens
            self.cached_tokens = usage.cached_tokens
            self.reasoning_tokens = usage.reasoning_tokens

    def view(self) -> Turn:
        """Return the turn as others see it."""
        return Turn(
            id=self.id,
            thread_id=self.thread_id,
            message_id=self.message_id,
            agent_id=self.agent_id,
            status=self.status,
            attempt=self.attempt,
            model=self.model,
            usage=self._usage(),
            first_token_ms=self.first_token_ms,
            error=TurnError(kind=self.error_kind, detail=self.error_detail or "")
            if self.error_kind
            else None,
            created_at=moment(self.created_at),
            started_at=moment(self.started_at) if self.started_at else None,
            finished_at=moment(self.finished_at) if self.finished_at else None,
        )

    def _usage(self) -> Usage | None:
        if self.input_tokens is None:
            return None
        return Usage(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens or 0,
            cached_tokens=self.cached_tokens or 0,
            reasoning_tokens=self.reasoning_tokens or 0,
        )


QUEUE_LENGTH = (
    select(func.count())
    .select_from(turns)
    .where(turns.c.thread_id == threads.c.id, QUEUED)
    .scalar_subquery()
    .label("queued")
)
THREAD_COLUMNS = (*threads.c, QUEUE_LENGTH)
"""The columns of a ThreadRecord, in its order."""

THREAD = select(*THREAD_COLUMNS).where(threads.c.id == bindparam("id"))
TURN = select(turns).where(turns.c.id == bindparam("id"))
MESSAGE = select(messages.c.json).where(messages.c.id == bindparam("id"))
POSITION = select(messages.c.position).where(messages.c.id == bindparam("id"))

_FIND_THREAD = Statement(THREAD)
_LOCK_THREAD = Statement(THREAD.with_for_update(of=threads, key_share=True))
"""Whoever makes a fork, which names this thread, need not wait."""
_VERSION = threads.alias("version")
_FAMILY = select(_VERSION.c.family).where(_VERSION.c.id == bindparam("id")).scalar_subquery()
_LOCK_FAMILY = Statement(
    select(threads.c.id)
    .where(threads.c.family == _FAMILY)
    .order_by(threads.c.id)
    .with_for_update(of=threads, key_share=True)
)
_OTHER_VERSIONS = Statement(
    select(threads.c.id)
    .where(
        threads.c.family == bindparam("family"),
        threads.c.id != bindparam("id"),
        threads.c.status != inline("deleted"),
    )
    .order_by(threads.c.id)
)
_NEW_THREAD = Statement(insert(threads))
_SAVE_THREAD = Statement(
    update(threads).where(threads.c.id == bindparam("id")),
    *("title", "title_words", "provisional", "status", "agent_id", "head", "open_turn", "rev"),
    *("paused", "importing", "active_at"),
)
_TURN = Statement(TURN.with_for_update())
_THREAD_OF_TURN = Statement(select(turns.c.thread_id).where(turns.c.id == bindparam("id")))
_NEW_TURN = Statement(insert(turns))
_SAVE_TURN = Statement(
    update(turns).where(turns.c.id == bindparam("id")),
    *(column.name for column in turns.c if column.name not in ("id", "thread_id", "created_at")),
)
_MESSAGE = Statement(MESSAGE)


def find_thread(tx: Transaction, id: str) -> ThreadRecord | None:
    """Return a thread to look at."""
    row = tx.one(_FIND_THREAD, id=id)
    return ThreadRecord(*row) if row else None


def lock_thread(tx: Transaction, id: str) -> ThreadRecord:
    """Return a thread to change; `rev` is already the one it will have. Raises NotFound."""
    row = tx.one(_LOCK_THREAD, id=id)
    if row is None:
        raise NotFound(f"There is no thread {id}; look at the list of threads.")
    thread = ThreadRecord(*row)
    thread.rev += 1
    return thread


def lock_living_thread(tx: Transaction, id: str) -> ThreadRecord:
    """Return a thread that takes messages and forks; raises NotFound, Gone, Conflict."""
    thread = lock_thread(tx, id)
    require_living(thread)
    return thread


def reused(noun: str) -> Conflict:
    """Return the refusal of an id under which there is something else already (rule 18)."""
    return Conflict(
        f"This id was used for another {noun} before; use a fresh one.", kind="id-reused"
    )


def require_living(thread: ThreadRecord) -> None:
    """Raise Gone or Conflict for a thread that takes no messages and forks."""
    if thread.status == "deleted":
        raise Gone("This thread was deleted; restore it first.")
    if thread.importing:
        raise Conflict("This thread is still being imported; wait until that ends.")


def lock_family(tx: Transaction, id: str) -> None:
    """Lock all versions of a thread in one order, so that nobody waits crosswise."""
    tx.all(_LOCK_FAMILY, id=id)


def lock_other_versions(tx: Transaction, thread: ThreadRecord) -> list[ThreadRecord]:
    """Return the living versions beside a locked thread, to change them alike."""
    found = tx.all(_OTHER_VERSIONS, family=thread.family, id=thread.id)
    return [lock_thread(tx, id) for (id,) in found]


def add_thread(tx: Transaction, thread: ThreadRecord) -> None:
    """Store a new thread, that its own messages belong to."""
    tx.run(_NEW_THREAD, **_columns(thread))


def save_thread(tx: Transaction, thread: ThreadRecord) -> None:
    """Store what was changed of a locked thread."""
    tx.run(_SAVE_THREAD, **_columns(thread))


def _columns(thread: ThreadRecord) -> dict[str, Any]:
    columns = vars(thread).copy()
    del columns["queued"]
    return columns


def lock_turn(tx: Transaction, id: str) -> tuple[ThreadRecord, TurnRecord]:
    """Return a turn and its thread, to change both; raises NotFound."""
    found = tx.one(_THREAD_OF_TURN, id=id)
    if found is None:
        raise NotFound(f"There is no turn {id}; look at its thread again.")
    thread = lock_thread(tx, found[0])
    return thread, read_turn(tx, id)


def read_turn(tx: Transaction, id: str) -> TurnRecord:
    """Return a turn whose thread is locked, or that only itself will change; raises NotFound."""
    turn = find_turn(tx, id)
    if turn is None:
        raise NotFound(f"There is no turn {id}; look at its thread again.")
    return turn


def find_turn(tx: Transaction, id: str) -> TurnRecord | None:
    """Return a turn, or None."""
    row = tx.one(_TURN, id=id)
    return TurnRecord(*row) if row else None


def add_turn(tx: Transaction, turn: TurnRecord) -> None:
    """Store a new turn."""
    tx.run(_NEW_TURN, **vars(turn))


def save_turn(tx: Transaction, turn: TurnRecord) -> None:
    """Store what was changed of a turn."""
    tx.run(_SAVE_TURN, **vars(turn))


def read_message(tx: Transaction, id: str) -> Message:
    """Return a message; raises NotFound."""
    row = tx.one(_MESSAGE, id=id)
    if row is None:
        raise NotFound(f"There is no message {id}; look at its thread again.")
    return Message.model_validate_json(row[0])


def searchable(text: str) -> str:
    """Return a text's words as the searchable columns hold them: each between spaces."""
    return f" {' '.join(words(text))} "
