"""Commands on sign-ins. A secret is known to its browser only; here lies its hash."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from parley_contracts.base import Empty, new_id
from parley_contracts.errors import NotFound, Unauthorized
from parley_contracts.events import SessionsChanged
from parley_contracts.sessions import Session, SessionRef, SignedIn
from sqlalchemy import bindparam, delete, insert, select, update

from parley_gateway.store.records import moment
from parley_gateway.store.schema import OWNER, owner_sessions
from parley_gateway.store.statement import Statement
from parley_gateway.store.transaction import Transaction

LIFE_US = int(timedelta(days=90) / timedelta(microseconds=1))
SEEN_US = int(timedelta(hours=1) / timedelta(microseconds=1))
"""How exactly it is noted when a sign-in was last used."""

SESSION_COLUMNS = (
    owner_sessions.c.id,
    owner_sessions.c.label,
    owner_sessions.c.created_at,
    owner_sessions.c.seen_at,
    owner_sessions.c.expires_at,
)
BY_SECRET = Statement(
    select(*SESSION_COLUMNS).where(owner_sessions.c.secret_hash == bindparam("secret_hash"))
)
_ADD = Statement(insert(owner_sessions))
_EXTEND = Statement(
    update(owner_sessions).where(owner_sessions.c.id == bindparam("id")), "seen_at", "expires_at"
)
_DELETE = Statement(delete(owner_sessions).where(owner_sessions.c.id == bindparam("id")))
_EXPIRE = Statement(delete(owner_sessions).where(owner_sessions.c.expires_at <= bindparam("now")))


def fingerprint(secret: str) -> str:
    """Return what is stored of a secret. It has 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def session(row: tuple[str, str, int, int, int]) -> Session:
    """Return a sign-in from its SESSION_COLUMNS."""
    id, label, created_at, seen_at, expires_at = row
    return Session(
        id=id,
        label=label,
        created_at=moment(created_at),
        seen_at=moment(seen_at),
        expires_at=moment(expires_at),
    )


def start(tx: Transaction, label: str) -> SignedIn:
    """Begin a session for whoever has shown the access token."""
    tx.run(_EXPIRE, now=tx.now)
    secret, expires_at = secrets.token_urlsafe(32), tx.now + LIFE_US
    id = new_id()
    tx.run(
        _ADD,
        id=id,
        owner_id=OWNER,
        secret_hash=fingerprint(secret),
        label=label,
        created_at=tx.now,
        seen_at=tx.now,
        expires_at=expires_at,
    )
    return SignedIn(id=id, secret=secret, expires_at=moment(expires_at))


def extend(tx: Transaction, secret: str) -> Session:
    """Let a session live on because it is used; raises Unauthorized when it is over."""
    row = tx.one(BY_SECRET, secret_hash=fingerprint(secret))
    if row is None or row[4] <= tx.now:
        raise Unauthorized("This sign-in is no longer good; sign in again.")
    expires_at = tx.now + LIFE_US
    tx.run(_EXTEND, id=row[0], seen_at=tx.now, expires_at=expires_at)
    return session((row[0], row[1], row[2], tx.now, expires_at))


def revoke(tx: Transaction, command: SessionRef) -> Empty:
    """End a session; whoever remembers it hears of it."""
    if not tx.run(_DELETE, id=command.id):
        raise NotFound(f"There is no sign-in {command.id}; it may have ended already.")
    tx.emit(SessionsChanged())
    return Empty()
