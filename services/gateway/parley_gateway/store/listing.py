"""The list of threads, newest activity first, and search results in the same shape (rule 26).

The versions of a thread are one entry, the one that was used last.
A search lists threads whose title matches, then threads that show a matching message, those with
the newest hit first, each once. Nothing is ranked.
"""

from __future__ import annotations

from typing import Any

from parley_contracts.errors import Invalid
from parley_contracts.threads import ListThreads, Thread, ThreadList
from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, func, not_, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_gateway.store.index import INDEX, matches, query_text
from parley_gateway.store.records import THREAD_COLUMNS, ThreadRecord
from parley_gateway.store.schema import inline, lineage, messages, threads
from parley_gateway.store.versions import LISTED
from parley_gateway.store.words import Term, snippet, terms

Page = tuple[list[Thread], str | None]
"""Threads, and the cursor after them."""

FIRST_WINDOW = 2_000
"""Newest hits that are looked at first; ten times as many when they are in too few threads."""

_TITLE, _MESSAGE = "t", "m"
LAST = 2**62
"""Beyond every moment and every message."""

_OWNERS = threads.alias("owners")
_SHOWS_MORE = or_(threads.c.sibling.is_(False), _OWNERS.c.status == inline("deleted"))
"""Whether a thread that inherits a message adds something to the thread that owns it."""

_HITS = (
    select(INDEX.c.rowid)
    .where(matches())
    .order_by(INDEX.c.rowid.desc())
    .limit(bindparam("window"))
    .subquery("hits")
)
_NEWEST_HIT = func.max(_HITS.c.rowid, type_=BigInteger)
_THREADS_HIT = (
    select(threads.c.id, _NEWEST_HIT)
    .select_from(_HITS)
    .join(messages, messages.c.pk == _HITS.c.rowid)
    .join(
        lineage,
        and_(lineage.c.ancestor_id == messages.c.thread_id, lineage.c.upto >= messages.c.position),
    )
    .join(threads, threads.c.id == lineage.c.thread_id)
    .join(_OWNERS, _OWNERS.c.id == messages.c.thread_id)
    .where(or_(lineage.c.depth == 0, and_(LISTED, _SHOWS_MORE)))
    .group_by(threads.c.id)
    .having(bindparam("below") > _NEWEST_HIT)
    .order_by(_NEWEST_HIT.desc())
)
_BY_IDS = select(*THREAD_COLUMNS).where(threads.c.id.in_(bindparam("ids", expanding=True)))
_TEXTS = select(messages.c.pk, messages.c.id, messages.c.text).where(
    messages.c.pk.in_(bindparam("pks", expanding=True))
)


async def list_threads(connection: AsyncConnection, request: ListThreads) -> ThreadList:
    """Return a page of threads, or of search results; Invalid for a cursor that is none."""
    if request.q is None or not request.q.strip():
        found, cursor = await _by_activity(connection, request)
    else:
        found, cursor = await _search(connection, request, terms(request.q))
    return ThreadList(threads=tuple(found), cursor=cursor)


async def _by_activity(
    connection: AsyncConnection, request: ListThreads, *conditions: ColumnElement[bool]
) -> Page:
    """Return a page of the listed threads that meet the conditions."""
    query = select(*THREAD_COLUMNS).where(_listed(request), LISTED)
    query = query.where(*conditions).limit(request.limit + 1)
    if request.cursor:
        at, id = _place(request.cursor, _TITLE)
        query = query.where(tuple_(threads.c.active_at, threads.c.id) < (at, id))
    query = query.order_by(threads.c.active_at.desc(), threads.c.id.desc())
    rows = [ThreadRecord(*row) for row in await connection.execute(query)]
    page = rows[: request.limit]
    more = len(rows) > len(page)
    cursor = f"{_TITLE}:{page[-1].active_at}:{page[-1].id}" if more else None
    return [each.view() for each in page], cursor


async def _search(connection: AsyncConnection, request: ListThreads, wanted: list[Term]) -> Page:
    if not wanted:
        return [], None
    by_title: list[Thread] = []
    below = None
    if request.cursor and request.cursor.startswith(_MESSAGE):
        below = _place(request.cursor, _MESSAGE)[0]
    else:
        by_title, cursor = await _by_activity(connection, request, _title_matches(wanted))
        if cursor is not None or len(by_title) == request.limit:
            return by_title, cursor or f"{_MESSAGE}:{LAST}:"
    room = request.limit - len(by_title)
    found, cursor = await _by_message(connection, request, wanted, below or LAST, room)
    return by_title + found, cursor


async def _by_message(
    connection: AsyncConnection, request: ListThreads, wanted: list[Term], below: int, room: int
) -> Page:
    """Return threads that show a matching message, but whose title does not match."""
    query = _THREADS_HIT.where(_listed(request), not_(_title_matches(wanted))).limit(room + 1)
    asked: dict[str, Any] = {
        "query": query_text(connection.engine.url, wanted),
        "below": below,
        "window": FIRST_WINDOW,
    }
    hits = (await connection.execute(query, asked)).all()
    while len(hits) <= room and await _window_is_full(connection, asked):
        asked["window"] *= 10
        hits = (await connection.execute(query, asked)).all()
    page = [(id, pk) for id, pk in hits[:room]]
    cursor = f"{_MESSAGE}:{page[-1][1]}:" if len(hits) > room else None
    return await _with_snippets(connection, page, wanted), cursor


async def _window_is_full(connection: AsyncConnection, asked: dict[str, Any]) -> bool:
    count = await connection.scalar(select(func.count()).select_from(_HITS), asked)
    return bool(count == asked["window"])


async def _with_snippets(
    connection: AsyncConnection, page: list[tuple[str, int]], wanted: list[Term]
) -> list[Thread]:
    rows = await connection.execute(_BY_IDS, {"ids": [id for id, _ in page]})
    views = {row.id: ThreadRecord(*row).view() for row in rows}
    found = await connection.execute(_TEXTS, {"pks": [pk for _, pk in page]})
    hits = {row.pk: {"hit": row.id, "snippet": snippet(row.text, wanted)} for row in found}
    return [views[id].model_copy(update=hits[pk]) for id, pk in page]


def _listed(request: ListThreads) -> ColumnElement[bool]:
    """Threads of the wanted status; a search through active ones looks into the archive too."""
    wanted = [request.status]
    if request.q and request.status == "active":
        wanted.append("archived")
    statuses = [inline(status) for status in wanted]
    return and_(threads.c.status.in_(statuses), threads.c.importing.is_(False))


def _title_matches(wanted: list[Term]) -> ColumnElement[bool]:
    return and_(*(threads.c.title_words.like(_pattern(term)) for term in wanted))


def _pattern(term: Term) -> str:
    return f"% {' '.join(term.words)}{' %' if term.exact else '%'}"


def _place(cursor: str, kind: str) -> tuple[int, str]:
    """Return the number and the id that a cursor of this kind holds."""
    found, number, id = (*cursor.split(":", 2), "", "")[:3]
    if found != kind or not number.isdecimal() or int(number) > LAST:
        raise Invalid("No list gave this cursor; start without one.", field="cursor")
    return int(number), id
