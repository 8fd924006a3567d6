"""The full-text index, filled behind the commits.

`unindexed` names the messages that the index lacks: a crash costs nothing, and naming all of them
in an emptied index builds it anew. Each database has an index of its own kind; both hold
the words of `words.words` and answer the same.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    URL,
    BigInteger,
    Executable,
    Text,
    bindparam,
    column,
    delete,
    insert,
    select,
    table,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement, ColumnElement
from sqlalchemy.types import NullType

from parley_gateway.store.schema import messages, unindexed
from parley_gateway.store.sqlite import is_sqlite
from parley_gateway.store.statement import Statement
from parley_gateway.store.transaction import Row, Transaction
from parley_gateway.store.words import Term, words

AT_ONCE = 32
LONGEST = 100_000
"""Characters of a message that are searched."""

INDEX = table("message_search", column("rowid", BigInteger), column("words", Text))


class indexed(ColumnElement[str]):  # noqa: N801 (reads like an SQL function)
    """The words that are stored for a message."""

    type = Text()
    inherit_cache = True

    def __init__(self) -> None:
        self.words = bindparam("words", type_=Text)


class matches(ColumnElement[Any]):  # noqa: N801 (reads like an SQL function)
    """Whether a message's words hold what `query_text` made of a search."""

    type = NullType()
    inherit_cache = True

    def __init__(self) -> None:
        self.query = bindparam("query", type_=Text)


@compiles(indexed, "sqlite")
def _indexed_sqlite(element: indexed, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.words, **kw)


@compiles(indexed, "postgresql")
def _indexed_postgresql(element: indexed, compiler: SQLCompiler, **kw: Any) -> str:
    """Our own words, each at its place: PostgreSQL's parser would depend on the locale."""
    return _PLACED.format(compiler.process(element.words, **kw))


@compiles(matches, "sqlite")
def _matches_sqlite(element: matches, compiler: SQLCompiler, **kw: Any) -> str:
    return f"message_search MATCH {compiler.process(element.query, **kw)}"


@compiles(matches, "postgresql")
def _matches_postgresql(element: matches, compiler: SQLCompiler, **kw: Any) -> str:
    return f"message_search.words @@ {compiler.process(element.query, **kw)}::tsquery"


class without(Executable, ClauseElement):  # noqa: N801 (reads like an SQL statement)
    """Takes a message out of the index, which in SQLite has to be told the words again."""

    def __init__(self) -> None:
        self.message_pk = bindparam("message_pk", type_=BigInteger)
        self.words = bindparam("words", type_=Text)


@compiles(without, "sqlite")
def _without_sqlite(element: without, compiler: SQLCompiler, **kw: Any) -> str:
    pk, said = (compiler.process(each, **kw) for each in (element.message_pk, element.words))
    return _UNSAID.format(pk, said)


@compiles(without, "postgresql")
def _without_postgresql(element: without, compiler: SQLCompiler, **kw: Any) -> str:
    return _DROPPED.format(compiler.process(element.message_pk, **kw))


_PLACED = """coalesce(
    (
        SELECT string_agg(quote_literal(word) || ':' || least(place, 16383), ' ')
        FROM unnest(string_to_array({}, ' ')) WITH ORDINALITY AS each(word, place)
    ),
    ''
)::tsvector"""

_UNSAID = "INSERT INTO message_search (message_search, rowid, words) VALUES ('delete', {}, {})"
_DROPPED = "DELETE FROM message_search WHERE rowid = {}"

_PENDING = Statement(
    select(messages.c.pk, messages.c.text)
    .join(unindexed, unindexed.c.message_pk == messages.c.pk)
    .order_by(unindexed.c.message_pk)
    .limit(AT_ONCE)
    .with_for_update(of=unindexed, skip_locked=True)
)
_ADD = Statement(
    insert(INDEX).values(rowid=bindparam("message_pk", type_=BigInteger), words=indexed())
)
_OF_THREAD = Statement(
    select(messages.c.pk, messages.c.text, unindexed.c.message_pk)
    .outerjoin(unindexed, unindexed.c.message_pk == messages.c.pk)
    .where(messages.c.thread_id == bindparam("thread_id"), messages.c.position.is_not(None))
)
_REMOVE = Statement(without())
_DONE = Statement(delete(unindexed).where(unindexed.c.message_pk == bindparam("message_pk")))


def index_some(tx: Transaction) -> bool:
    """Index the oldest messages that nobody else is at; False when that was all."""
    pending = tx.all(_PENDING)
    tx.many(_ADD, _rows(pending))
    tx.many(_DONE, [{"message_pk": pk} for pk, _ in pending])
    return len(pending) == AT_ONCE


def unindex(tx: Transaction, thread_id: str) -> None:
    """Take a thread's messages out of the index, or from what waits for it."""
    found = tx.all(_OF_THREAD, thread_id=thread_id)
    tx.many(_REMOVE, _rows([(pk, text) for pk, text, waits in found if waits is None]))
    tx.many(_DONE, [{"message_pk": pk} for pk, _, waits in found if waits is not None])


def _rows(said: list[Row]) -> list[dict[str, Any]]:
    return [{"message_pk": pk, "words": " ".join(words(text[:LONGEST]))} for pk, text in said]


def query_text(url: URL, wanted: list[Term]) -> str:
    """Return what the database's index is asked; words are letters and digits only."""
    if is_sqlite(url):
        return " ".join(f'"{" ".join(term.words)}"{"" if term.exact else " *"}' for term in wanted)
    return " & ".join(f"({_phrase(term)})" for term in wanted)


def _phrase(term: Term) -> str:
    quoted = [f"'{word}'" for word in term.words]
    return " <-> ".join(quoted) + ("" if term.exact else ":*")
