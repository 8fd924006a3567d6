"""Claims (rules 5 to 8): who runs a turn, for how long, and who takes over.

The fence is attempt and claim id: the same claim asking again gets the same answer, any other one
is refused, so that a worker that was given up cannot answer.
"""

from __future__ import annotations

import json

from parley_contracts.base import Contract, Empty
from parley_contracts.errors import Conflict
from parley_contracts.messages import Message, TurnError
from parley_contracts.turns import (
    Beat,
    BeatReply,
    BeginTurn,
    Claim,
    RecordStep,
    ReleaseTurn,
    TurnBusy,
    TurnOver,
)
from sqlalchemy import bindparam, delete, insert, update

from parley_gateway.store import agents, letters
from parley_gateway.store.history import HISTORY, LARGEST, PAGE_ROOM, Page, size_of
from parley_gateway.store.journal import (
    add_step,
    encoded_steps,
    parts_of,
    read_decisions,
    read_steps,
    text_of,
)
from parley_gateway.store.lifecycle import Reply, close, place_question, redispatch, void_claim
from parley_gateway.store.records import (
    ThreadRecord,
    TurnRecord,
    find_turn,
    lock_turn,
    read_turn,
    save_thread,
    save_turn,
)
from parley_gateway.store.schema import inline, turns, workers
from parley_gateway.store.statement import Statement
from parley_gateway.store.transaction import Transaction

LEASE_S = 10.0
LEASE_US = int(LEASE_S * 1e6)
MOST_TAKEOVERS = 3
FORGET_WORKER_US = 60_000_000

_LOST = TurnError(
    kind="worker-lost",
    detail=f"The workers that ran this turn died {MOST_TAKEOVERS} times; look at their logs, "
    "then retry.",
)
_TOO_LARGE = TurnError(
    kind="too-large",
    detail="The turn was interrupted, and what its tools had returned is too much to go on with; "
    "ask for less at once.",
)

_EXTEND = Statement(
    update(turns)
    .where(
        turns.c.id == bindparam("turn_id"),
        turns.c.claim == bindparam("held"),
        turns.c.attempt == bindparam("held_attempt"),
        turns.c.status.in_([inline("open"), inline("cancelling")]),
    )
    .returning(turns.c.status),
    "lease_until",
)
_SEEN = Statement(update(workers).where(workers.c.id == bindparam("id")), "turns", "seen_at")
_NEW_WORKER = Statement(insert(workers))
_FORGET = Statement(delete(workers).where(workers.c.seen_at < bindparam("before")))


def begin(tx: Transaction, command: BeginTurn, *, no_takeover_before: int) -> bytes:
    """Claim a turn from its slot; return the encoded reply with everything the attempt needs.

    `no_takeover_before` (microseconds) is how long expired leases are still respected, because the
    gateway itself may have kept their holders from beating.
    """
    if find_turn(tx, command.turn_id) is None:
        return TurnOver(reason="there is no such turn").encode()
    thread, turn = lock_turn(tx, command.turn_id)
    if reason := _nothing_to_do(thread, turn, command):
        return TurnOver(reason=reason).encode()
    question = place_question(tx, thread, turn)
    if turn.claim != command.claim and (
        refusal := _take(tx, thread, turn, command, no_takeover_before)
    ):
        return refusal.encode()
    return _granted(tx, thread, turn, question)


def _nothing_to_do(thread: ThreadRecord, turn: TurnRecord, command: BeginTurn) -> str | None:
    if thread.status == "deleted":
        return "gone: the thread was deleted"
    if turn.status != "open":
        return f"the turn is {turn.status}"
    if turn.dispatch_no != command.dispatch_no:
        return "the turn was dispatched anew"
    return None


def _take(
    tx: Transaction,
    thread: ThreadRecord,
    turn: TurnRecord,
    command: BeginTurn,
    no_takeover_before: int,
) -> Contract | None:
    """Give the turn to the claim, or return why not."""
    if turn.claim is not None:
        wait = max(turn.lease_until or 0, no_takeover_before) - tx.now
        if wait > 0:
            return TurnBusy(retry_s=wait / 1e6)
        turn.takeovers += 1
    if turn.takeovers >= MOST_TAKEOVERS:
        letters.keep_turn(tx, turn, _LOST.detail)
        return _give_up(tx, thread, turn, _LOST)
    if turn.attempt and size_of(_steps(tx, turn)) > LARGEST:
        return _give_up(tx, thread, turn, _TOO_LARGE)
    turn.attempt += 1
    turn.claim, turn.worker_id = command.claim, command.worker_id
    turn.claimed_at, turn.lease_until = tx.now, tx.now + LEASE_US
    turn.started_at = turn.started_at or tx.now
    turn.agent_revision = agents.at_revision(tx, turn.agent_id, turn.agent_revision)[1]
    save_turn(tx, turn)
    save_thread(tx, thread)
    return None


def _give_up(tx: Transaction, thread: ThreadRecord, turn: TurnRecord, error: TurnError) -> TurnOver:
    """End a turn that no attempt goes on with."""
    parts = parts_of(read_steps(tx, turn.id))
    void_claim(turn)
    close(tx, thread, turn, Reply("failed", text_of(parts), parts, error))
    save_thread(tx, thread)
    return TurnOver(reason=error.detail)


def _steps(tx: Transaction, turn: TurnRecord) -> str:
    return ",".join(encoded_steps(tx, turn.id))


def _granted(tx: Transaction, thread: ThreadRecord, turn: TurnRecord, question: Message) -> bytes:
    """Return an encoded TurnGranted, joined from what was encoded before."""
    steps, asked = _steps(tx, turn), question.encode().decode()
    assert question.position is not None
    room = PAGE_ROOM - size_of(steps) - size_of(asked)
    page = Page(before=question.position + 1, room=room)
    while wanted := page.wanted:
        page.take(tx.all(HISTORY, thread_id=thread.id, **wanted))
    agent, _ = agents.at_revision(tx, turn.agent_id, turn.agent_revision)
    claim = Claim(turn_id=turn.id, attempt=turn.attempt, claim=turn.claim or "")
    rest = {
        "history_before": page.before,
        "agents": agents.names(tx),
        "decisions": read_decisions(tx, turn.id),
        "untitled": bool(thread.provisional),
        "lease_s": LEASE_S,
    }
    return (
        f'{{"status":"granted","turn":{turn.view().encode().decode()},'
        f'"claim":{claim.encode().decode()},"agent":{agent},'
        f'"message":{asked},"history":{page.messages},'
        f'"steps":[{steps}],{json.dumps(rest)[1:]}'
    ).encode()


def hold(tx: Transaction, claim: Claim) -> TurnRecord:
    """Return the turn that the claim holds; Conflict when it holds it no longer."""
    turn = read_turn(tx, claim.turn_id)
    _require_hold(turn, claim)
    return turn


def _require_hold(turn: TurnRecord, claim: Claim) -> None:
    if not turn.holds(claim) or not turn.running:
        raise stale(turn)


def stale(turn: TurnRecord) -> Conflict:
    """Return the refusal of a claim that is not, or no longer, the turn's."""
    return Conflict(
        f"This claim no longer holds turn {turn.id}, which is {turn.status} in attempt "
        f"{turn.attempt}; stop working on it.",
        kind="stale-claim",
    )


def record_step(tx: Transaction, command: RecordStep) -> Empty:
    """Record a finished step; from here on the turn counts as getting ahead."""
    turn = hold(tx, command.claim)
    if add_step(tx, turn.id, command.step) and turn.takeovers:
        turn.takeovers = 0
        save_turn(tx, turn)
    return Empty()


def release(tx: Transaction, command: ReleaseTurn) -> Empty:
    """Take a turn back from a worker that stops in good order; somebody else goes on."""
    thread, turn = lock_turn(tx, command.claim.turn_id)
    _require_hold(turn, command.claim)
    tx.slot(thread.id).free = command.slot_sequence
    if turn.status == "open":
        redispatch(tx, turn)
    else:
        turn.lease_until = tx.now
        save_turn(tx, turn)
    return Empty()


def beat(tx: Transaction, command: Beat) -> BeatReply:
    """Extend the leases of a worker's claims; tell it which it has lost and which are to stop."""
    held, cancelling, lost = [], [], []
    for claim in sorted(command.claims, key=lambda each: each.turn_id):
        row = tx.one(
            _EXTEND,
            turn_id=claim.turn_id,
            held=claim.claim,
            held_attempt=claim.attempt,
            lease_until=tx.now + LEASE_US,
        )
        if row is None:
            lost.append(claim.turn_id)
            continue
        held.append(claim.turn_id)
        if row[0] == "cancelling":
            cancelling.append(claim.turn_id)
    _note_worker(tx, command.worker_id, len(held))
    return BeatReply(
        held=tuple(held), cancelling=tuple(cancelling), lost=tuple(lost), lease_s=LEASE_S
    )


def _note_worker(tx: Transaction, worker_id: str, running: int) -> None:
    seen = {"id": worker_id, "turns": running, "seen_at": tx.now}
    if not tx.run(_SEEN, **seen):
        tx.run(_NEW_WORKER, **seen)
        tx.run(_FORGET, before=tx.now - FORGET_WORKER_US)
