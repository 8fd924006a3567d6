"""Dead letters: kept with their bytes, listed, read, removed when the owner has dealt with them."""

from __future__ import annotations

from base64 import b64decode, b64encode

from parley_contracts.base import Empty
from parley_contracts.errors import Invalid, NotFound
from parley_contracts.letters import (
    KeepLetter,
    Letter,
    LetterContent,
    LetterList,
    LetterRef,
    ListLetters,
)
from parley_contracts.subjects import TURNS
from sqlalchemy import bindparam, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_gateway.store.records import TurnRecord, moment
from parley_gateway.store.schema import dead_letters
from parley_gateway.store.statement import Statement
from parley_gateway.store.transaction import Transaction

START = 200
"""Bytes of a payload that the list shows."""

_SUMMARY = tuple(column for column in dead_letters.c if column.name != "payload")
_HAS = Statement(select(dead_letters.c.id).where(dead_letters.c.id == bindparam("id")))
_ADD = Statement(insert(dead_letters))
_DROP = Statement(delete(dead_letters).where(dead_letters.c.id == bindparam("id")))
_NEWEST = (
    select(*_SUMMARY)
    .order_by(dead_letters.c.kept_at.desc(), dead_letters.c.id)
    .limit(bindparam("limit"))
)
_CONTENT = select(dead_letters).where(dead_letters.c.id == bindparam("id"))
COUNT = select(func.count()).select_from(dead_letters)


def keep(tx: Transaction, command: KeepLetter) -> Empty:
    """Keep what nothing can read, once."""
    try:
        payload = b64decode(command.payload, validate=True)
    except ValueError:
        raise Invalid("The payload is not in base64; encode it.", field="payload") from None
    _keep(tx, command, payload)
    return Empty()


def keep_turn(tx: Transaction, turn: TurnRecord, reason: str) -> None:
    """Keep a turn that its workers died of, as it lay in its slot."""
    slot = turn.slot.encode()
    letter = KeepLetter(
        id=turn.id,
        subject=TURNS.subject(turn.thread_id),
        reason=reason,
        payload=b64encode(slot).decode(),
        size=len(slot),
    )
    _keep(tx, letter, slot, turn.id)


def remove(tx: Transaction, command: LetterRef) -> Empty:
    """Forget a letter; raises NotFound."""
    if not drop(tx, command.id):
        raise NotFound(f"There is no dead letter {command.id}; look at the list of them.")
    return Empty()


def drop(tx: Transaction, id: str) -> bool:
    """Forget a letter, if there is one of this id."""
    return bool(tx.run(_DROP, id=id))


async def list_letters(connection: AsyncConnection, request: ListLetters) -> LetterList:
    """Return the newest letters, without their bytes."""
    rows = await connection.execute(_NEWEST, {"limit": request.limit})
    return LetterList(
        letters=tuple(Letter(**_fields(dict(row._mapping))) for row in rows),
        total=await connection.scalar(COUNT) or 0,
    )


async def read_letter(connection: AsyncConnection, request: LetterRef) -> LetterContent:
    """Return a letter with its bytes; raises NotFound."""
    row = (await connection.execute(_CONTENT, {"id": request.id})).first()
    if row is None:
        raise NotFound(f"There is no dead letter {request.id}; look at the list of them.")
    return LetterContent(**_fields(dict(row._mapping)))


def _keep(tx: Transaction, letter: KeepLetter, payload: bytes, turn_id: str | None = None) -> None:
    if not tx.one(_HAS, id=letter.id):
        start = _printable(payload[:START])
        tx.run(_ADD, **letter.model_dump(), turn_id=turn_id, start=start, kept_at=tx.now)


def _fields(row: dict[str, object]) -> dict[str, object]:
    return row | {"kept_at": moment(int(str(row["kept_at"])))}


def _printable(start: bytes) -> str:
    text = start.decode("utf-8", "backslashreplace")
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
