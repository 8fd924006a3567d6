"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPEN = sa.text("status IN ('open', 'waiting', 'cancelling')")
QUEUED = sa.text("status = 'queued'")


def only(condition: sa.TextClause) -> dict[str, sa.TextClause]:
    """Return what restricts an index to some rows."""
    return {"sqlite_where": condition, "postgresql_where": condition}


def upgrade() -> None:
    """Make all tables."""
    _agents()
    _threads()
    _turns()
    _house()
    _search()


def _agents() -> None:
    """Agents with all their revisions."""
    op.create_table(
        "agents",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("handle", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("json", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("handle"),
    )
    op.create_table(
        "agent_revisions",
        sa.Column("agent_id", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("json", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"]),
        sa.PrimaryKeyConstraint("agent_id", "revision"),
    )


def _threads() -> None:
    """Threads, what they share, and what was said."""
    op.create_table(
        "threads",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("title_words", sa.Text, nullable=False),
        sa.Column("agent_id", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("active_at", sa.BigInteger, nullable=False),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("provisional", sa.Boolean, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("head", sa.Integer, nullable=False),
        sa.Column("open_turn", sa.Text),
        sa.Column("rev", sa.Integer, nullable=False),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("importing", sa.Boolean, nullable=False),
        sa.Column("parent_id", sa.Text),
        sa.Column("fork_position", sa.Integer),
        sa.Column("fork_message_id", sa.Text),
        sa.Column("sibling", sa.Boolean, nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"]),
        sa.ForeignKeyConstraint(["parent_id"], ["threads.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("threads_by_activity", "threads", ["status", "active_at", "id"])
    op.create_index("threads_by_parent", "threads", ["parent_id", "fork_position"])
    op.create_table(
        "lineage",
        sa.Column("thread_id", sa.Text, nullable=False),
        sa.Column("depth", sa.Integer, nullable=False),
        sa.Column("ancestor_id", sa.Text, nullable=False),
        sa.Column("upto", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(["thread_id"], ["threads.id"]),
        sa.PrimaryKeyConstraint("thread_id", "depth"),
        sqlite_with_rowid=False,
    )
    op.create_index("lineage_by_ancestor", "lineage", ["ancestor_id", "upto"])
    op.create_table(
        "messages",
        sa.Column("pk", SERIAL, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("thread_id", sa.Text, nullable=False),
        sa.Column("position", sa.Integer),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("turn_id", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("json", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["thread_id"], ["threads.id"]),
        sa.PrimaryKeyConstraint("pk"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("thread_id", "client_id", name="messages_by_client"),
        sa.UniqueConstraint("thread_id", "position", name="messages_by_position"),
    )


def _turns() -> None:
    """Turns with their steps and decisions."""
    op.create_table(
        "turns",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("thread_id", sa.Text, nullable=False),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("agent_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("queue_no", sa.Integer, nullable=False),
        sa.Column("dispatch_no", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("takeovers", sa.Integer, nullable=False),
        sa.Column("agent_revision", sa.Integer),
        sa.Column("claim", sa.Text),
        sa.Column("worker_id", sa.Text),
        sa.Column("claimed_at", sa.BigInteger),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("cancel_reason", sa.Text),
        sa.Column("cancel_at", sa.BigInteger),
        sa.Column("retry_of", sa.Text),
        sa.Column("reply_id", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("input_tokens", sa.Integer),
        sa.Column("output_tokens", sa.Integer),
        sa.Column("cached_tokens", sa.Integer),
        sa.Column("reasoning_tokens", sa.Integer),
        sa.Column("first_token_ms", sa.Integer),
        sa.Column("error_kind", sa.Text),
        sa.Column("error_detail", sa.Text),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("finished_at", sa.BigInteger),
        sa.ForeignKeyConstraint(["thread_id"], ["threads.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("turns_by_end", "turns", ["finished_at"])
    op.create_index(
        "turns_open", "turns", ["thread_id"], unique=True, sqlite_where=OPEN, postgresql_where=OPEN
    )
    op.create_index(
        "turns_queued",
        "turns",
        ["thread_id", "queue_no"],
        sqlite_where=QUEUED,
        postgresql_where=QUEUED,
    )
    op.create_table(
        "turn_decisions",
        sa.Column("turn_id", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("decided_at", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["turn_id"], ["turns.id"]),
        sa.PrimaryKeyConstraint("turn_id", "step"),
    )
    op.create_table(
        "turn_steps",
        sa.Column("turn_id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("json", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["turn_id"], ["turns.id"]),
        sa.PrimaryKeyConstraint("turn_id", "number"),
    )


def _house() -> None:
    """Sign-ins, workers, and what is to be told and indexed."""
    op.create_table(
        "owner_sessions",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("secret_hash"),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("turns", sa.Integer, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("thread_id", sa.Text),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "unindexed",
        sa.Column("message_pk", SERIAL, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("message_pk"),
    )


def _search() -> None:
    """The full-text index, as each database has it; it holds no text, only where words are."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE message_search "
            "USING fts5(words, content='', columnsize=0, tokenize='ascii')"
        )
        return
    op.create_table(
        "message_search",
        sa.Column("rowid", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("words", postgresql.TSVECTOR, nullable=False),
    )
    op.create_index("message_search_words", "message_search", ["words"], postgresql_using="gin")
