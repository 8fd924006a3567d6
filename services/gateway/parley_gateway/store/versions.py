"""Versions of a message: the threads that go on differently from one position (rule 3).

A thread, the sibling forks that editing and regenerating made of it, and other forks that left at
the same place are one group. What editing and regenerating made of a
thread is its family, which is one entry of the list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from parley_contracts.threads import Siblings
from sqlalchemy import bindparam, exists, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_gateway.store.schema import inline, lineage, messages, threads

_NEWER = threads.alias("newer")
LISTED = ~exists().where(
    _NEWER.c.family == threads.c.family,
    _NEWER.c.status == threads.c.status,
    tuple_(_NEWER.c.active_at, _NEWER.c.id) > tuple_(threads.c.active_at, threads.c.id),
)
"""Whether a thread stands in the list: of a family's versions the one that was used last does."""

_OWNERS = threads.alias("owners")
_FORKS = (
    select(
        lineage.c.ancestor_id,
        _OWNERS.c.status,
        threads.c.fork_position,
        threads.c.id,
        threads.c.status,
        threads.c.sibling,
    )
    .select_from(lineage)
    .join(_OWNERS, _OWNERS.c.id == lineage.c.ancestor_id)
    .join(
        threads,
        (threads.c.parent_id == lineage.c.ancestor_id)
        & (threads.c.fork_position <= lineage.c.upto),
    )
    .where(
        lineage.c.thread_id == bindparam("id"),
        or_(threads.c.sibling, threads.c.head > threads.c.fork_position),
        threads.c.fork_position >= bindparam("lowest"),
        threads.c.fork_position < bindparam("before"),
    )
    .order_by(threads.c.fork_position, threads.c.created_at, threads.c.id)
)
_CONTINUATIONS = (
    select(lineage.c.ancestor_id, lineage.c.upto, threads.c.id)
    .join(threads, threads.c.id == lineage.c.thread_id)
    .where(
        lineage.c.ancestor_id.in_(bindparam("ids", expanding=True)),
        or_(threads.c.status != inline("deleted"), threads.c.id == bindparam("viewed")),
    )
    .order_by(threads.c.id != bindparam("viewed"), threads.c.created_at, threads.c.id)
)
_ASKED = (
    select(messages.c.thread_id, messages.c.text)
    .where(
        messages.c.thread_id.in_(bindparam("ids", expanding=True)),
        or_(messages.c.position == bindparam("position"), messages.c.position.is_(None)),
    )
    .order_by(messages.c.pk.desc())
)


class _Version(NamedTuple):
    thread: str
    status: str
    sibling: bool


async def versions(
    connection: AsyncConnection, thread_id: str, lowest: int, before: int
) -> list[Siblings]:
    """Return the versions of the messages at positions from `lowest` to `before` exclusive.

    In the place of a deleted thread stands one that goes on from its version: the viewed one, or
    else the oldest.
    """
    wanted = {"id": thread_id, "lowest": lowest - 1, "before": before - 1}
    groups = _edited(_grouped((await connection.execute(_FORKS, wanted)).all()))
    deleted = {each.thread for group in groups.values() for each in group if _is_gone(each)}
    asked = {"ids": sorted(deleted), "viewed": thread_id}
    heirs = (await connection.execute(_CONTINUATIONS, asked)).all() if deleted else []
    found = []
    for (_, position), group in groups.items():
        living = [heir for each in group if (heir := _living(each, position, heirs))]
        if len(living) > 1 and any(each.sibling for each in living):
            same = await _ask_the_same(connection, position, group)
            ids = tuple(each.thread for each in living)
            found.append(Siblings(position=position, threads=ids, answers=same))
    return found


async def _ask_the_same(
    connection: AsyncConnection, position: int, group: Sequence[_Version]
) -> bool:
    """Tell whether all versions begin with the same question, placed already or not."""
    ids = [each.thread for each in group]
    rows = await connection.execute(_ASKED, {"ids": ids, "position": position + 1})
    asked = {row.thread_id: row.text for row in rows}  # the first of a thread comes last
    return len(asked) == len(ids) and len(set(asked.values())) == 1


def _grouped(rows: Iterable[Any]) -> dict[tuple[str, int], list[_Version]]:
    """Return by owner and position the owner's own version, then those of the forks."""
    groups: dict[tuple[str, int], list[_Version]] = {}
    for owner, owner_status, position, *fork in rows:
        original = _Version(owner, owner_status, sibling=False)
        groups.setdefault((owner, position), [original]).append(_Version(*fork))
    return groups


def _edited(groups: dict[tuple[str, int], list[_Version]]) -> dict[tuple[str, int], list[_Version]]:
    """Return the groups that come from editing or regenerating, not from forking alone."""
    return {key: group for key, group in groups.items() if any(each.sibling for each in group)}


def _is_gone(version: _Version) -> bool:
    return version.status == "deleted"


def _living(version: _Version, position: int, heirs: Sequence[Any]) -> _Version | None:
    """Return the version, or who goes on from it when its own thread is deleted."""
    if not _is_gone(version):
        return version
    for ancestor, upto, thread in heirs:
        if ancestor == version.thread and upto > position:
            return version._replace(thread=thread)
    return None
