"""The tables. Moments are microseconds since 1970 in UTC; ids are the public ones.

A message's JSON is encoded once, when it is written: histories and pages are joined text.
`migrations/` makes these tables; a test holds the two together.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
)

OWNER = "owner"
"""The one owner's id."""

NO_END = 2**31 - 1
"""`lineage.upto` of a thread's own messages."""

metadata = MetaData()
_Serial = BigInteger().with_variant(Integer, "sqlite")


def inline(value: str) -> ColumnElement[str]:
    """Return a text literal that stands in the SQL itself, so that partial indexes can be used."""
    return literal_column(f"'{value}'", Text)


threads = Table(
    "threads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("title_words", Text, nullable=False),
    Column("agent_id", Text, ForeignKey("agents.id"), nullable=False),
    Column("digest", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("active_at", BigInteger, nullable=False),
    Column("owner_id", Text, nullable=False),
    Column("provisional", Boolean, nullable=False),
    Column("status", Text, nullable=False),
    Column("head", Integer, nullable=False),
    Column("open_turn", Text),
    Column("rev", Integer, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("importing", Boolean, nullable=False),
    Column("parent_id", Text, ForeignKey("threads.id")),
    Column("fork_position", Integer),
    Column("fork_message_id", Text),
    Column("sibling", Boolean, nullable=False),
    Column("family", Text, nullable=False, server_default=""),
)
Index("threads_by_activity", threads.c.status, threads.c.active_at, threads.c.id)
Index("threads_by_family", threads.c.family, threads.c.status, threads.c.active_at, threads.c.id)
Index("threads_by_parent", threads.c.parent_id, threads.c.fork_position)

lineage = Table(
    "lineage",
    metadata,
    Column("thread_id", Text, ForeignKey("threads.id"), primary_key=True),
    Column("depth", Integer, primary_key=True),
    Column("ancestor_id", Text, nullable=False),
    Column("upto", Integer, nullable=False),
    sqlite_with_rowid=False,
)
Index("lineage_by_ancestor", lineage.c.ancestor_id, lineage.c.upto)

messages = Table(
    "messages",
    metadata,
    Column("pk", _Serial, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("thread_id", Text, ForeignKey("threads.id"), nullable=False),
    Column("position", Integer),
    Column("role", Text, nullable=False),
    Column("turn_id", Text, nullable=False),
    Column("client_id", Text),
    Column("digest", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("json", Text, nullable=False),
    UniqueConstraint("thread_id", "position", name="messages_by_position"),
    UniqueConstraint("thread_id", "client_id", name="messages_by_client"),
)

withdrawn = Table(
    "withdrawn",
    metadata,
    Column("id", Text, primary_key=True),
    Column("thread_id", Text, ForeignKey("threads.id"), nullable=False),
    Column("client_id", Text),
    Column("digest", Text, nullable=False),
    Column("json", Text, nullable=False),
    UniqueConstraint("thread_id", "client_id", name="withdrawn_by_client"),
)
"""Messages that were taken back before their turn began: a late copy of their request is known."""

turns = Table(
    "turns",
    metadata,
    Column("id", Text, primary_key=True),
    Column("thread_id", Text, ForeignKey("threads.id"), nullable=False),
    Column("message_id", Text, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("queue_no", Integer, nullable=False),
    Column("dispatch_no", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("takeovers", Integer, nullable=False),
    Column("agent_revision", Integer),
    Column("claim", Text),
    Column("worker_id", Text),
    Column("claimed_at", BigInteger),
    Column("lease_until", BigInteger),
    Column("cancel_reason", Text),
    Column("cancel_at", BigInteger),
    Column("retry_of", Text),
    Column("reply_id", Text),
    Column("model", Text),
    Column("input_tokens", Integer),
    Column("output_tokens", Integer),
    Column("cached_tokens", Integer),
    Column("reasoning_tokens", Integer),
    Column("first_token_ms", Integer),
    Column("error_kind", Text),
    Column("error_detail", Text),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
)
OPEN = turns.c.status.in_([inline("open"), inline("waiting"), inline("cancelling")])
"""Turns that occupy their thread; at most one a thread."""
QUEUED = turns.c.status == inline("queued")
Index("turns_open", turns.c.thread_id, unique=True, sqlite_where=OPEN, postgresql_where=OPEN)
Index(
    "turns_queued",
    turns.c.thread_id,
    turns.c.queue_no,
    sqlite_where=QUEUED,
    postgresql_where=QUEUED,
)
Index("turns_by_end", turns.c.finished_at)

turn_steps = Table(
    "turn_steps",
    metadata,
    Column("turn_id", Text, ForeignKey("turns.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("json", Text, nullable=False),
)

turn_decisions = Table(
    "turn_decisions",
    metadata,
    Column("turn_id", Text, ForeignKey("turns.id"), primary_key=True),
    Column("step", Text, primary_key=True),
    Column("decision", Text, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
)

agents = Table(
    "agents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner_id", Text, nullable=False),
    Column("handle", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("json", Text, nullable=False),
)

agent_revisions = Table(
    "agent_revisions",
    metadata,
    Column("agent_id", Text, ForeignKey("agents.id"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("json", Text, nullable=False),
)

owner_sessions = Table(
    "owner_sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner_id", Text, nullable=False),
    Column("secret_hash", Text, nullable=False, unique=True),
    Column("label", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("turns", Integer, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("message_id", Text, nullable=False),
    Column("thread_id", Text),
    Column("kind", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("turn_id", Text),
    Column("size", Integer, nullable=False),
    Column("start", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("kept_at", BigInteger, nullable=False),
)
Index("dead_letters_by_age", dead_letters.c.kept_at)

unindexed = Table(
    "unindexed",
    metadata,
    Column("message_pk", _Serial, primary_key=True, autoincrement=False),
)
"""Messages with a position that the full-text index does not hold yet."""
