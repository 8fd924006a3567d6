"""What is due, decided anew each time from the rows themselves (rules 9 and 10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from parley_contracts.turns import TurnSlot
from sqlalchemy import bindparam, select

from parley_gateway.store.records import TurnRecord, lock_thread, read_turn, save_turn
from parley_gateway.store.schema import inline, turns
from parley_gateway.store.statement import Statement
from parley_gateway.store.transaction import Transaction

DUE = Statement(
    select(
        turns.c.thread_id, turns.c.id, turns.c.dispatch_no, turns.c.lease_until.is_not(None)
    ).where(
        turns.c.status == inline("open"),
        turns.c.lease_until.is_(None) | (turns.c.lease_until < bindparam("now")),
    )
)
"""Threads whose open turn no living worker holds: see `Due`."""

OVERDUE = Statement(
    select(turns.c.id, turns.c.thread_id, turns.c.attempt).where(
        turns.c.status == inline("cancelling"), turns.c.cancel_at <= bindparam("before")
    )
)
"""Turns that should have stopped by now."""


class Due(NamedTuple):
    """A dispatch of a turn that nobody works on; abandoned when its worker fell silent."""

    thread_id: str
    turn_id: str
    dispatch_no: int
    abandoned: bool

    @property
    def slot(self) -> TurnSlot:
        """What its slot holds when all is well."""
        return TurnSlot(turn_id=self.turn_id, dispatch_no=self.dispatch_no)


@dataclass(frozen=True)
class Verdict:
    """What to do with a slot that was looked at: delete exactly its message, then put this."""

    delete: bool = False
    put: TurnSlot | None = None


LEAVE = Verdict()


def judge(
    tx: Transaction,
    thread_id: str,
    due: TurnSlot,
    found: TurnSlot | None,
    *,
    no_takeover_before: int,
) -> Verdict:
    """Decide on a thread's slot that holds `found`; a turn put anew gets a new dispatch number.

    Nothing is done when it is no longer `due` that is due: then others are at it.

    A turn whose holder's lease has expired is put anew although its message is still there: that
    one lies with the dead.
    """
    thread = lock_thread(tx, thread_id)
    if thread.open_turn is None:
        return LEAVE
    turn = read_turn(tx, thread.open_turn)
    if turn.status != "open" or _held(turn, tx.now, no_takeover_before):
        return LEAVE
    if turn.slot != due or (found == due and turn.claim is None):
        return LEAVE
    put = turn.next_slot()
    save_turn(tx, turn)
    return Verdict(delete=found is not None, put=put)


def _held(turn: TurnRecord, now: int, no_takeover_before: int) -> bool:
    """Whether a worker holds the turn, or must be given the chance to say so."""
    return turn.claim is not None and max(turn.lease_until or 0, no_takeover_before) > now
