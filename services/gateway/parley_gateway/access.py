"""The owner's access token: who has it may sign in.

The right token is let in always; wrong ones are refused, and counted by the client they came from.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable
from pathlib import Path

from parley_contracts.base import now
from parley_contracts.errors import Invalid, TooMany, Unauthorized, Unavailable
from parley_contracts.sessions import Session

FILE_NAME = "access-token"
LENGTHS = range(8, 201)
"""Characters that a token may have."""
MOST_FAILURES = 5
WINDOW_US = 60_000_000
MOST_CLIENTS = 1_000
"""Clients whose wrong tokens are counted; of more, those that failed longest ago are forgotten."""


def access_token(data: Path, setting: str | None) -> str:
    """Return the token: the setting, or the one kept in the data folder, made at first start.

    Raises Invalid for one that cannot be used, Unavailable when it cannot be read or kept.
    """
    if setting:
        return _sound(setting, "PARLEY_ACCESS_TOKEN", "choose another one")
    path = data / FILE_NAME
    try:
        kept = path.read_bytes().decode(errors="replace").strip()
        return _sound(kept, str(path), "remove the file, and the next start makes a new one")
    except FileNotFoundError:
        token = secrets.token_urlsafe(32)
        show(token, path)
        return token
    except OSError as error:
        raise Unavailable(
            f"The access token in {path} cannot be read: {error.strerror}; mend that."
        ) from None


def _sound(token: str, place: str, remedy: str) -> str:
    """Return a token that a header can carry and nobody guesses at once."""
    if len(token) not in LENGTHS or not (token.isascii() and token.isprintable()):
        raise Invalid(
            f"The access token in {place} must have {LENGTHS[0]} to {LENGTHS[-1]} characters of"
            f" ASCII; {remedy}."
        )
    return token


def show(token: str, path: Path) -> None:
    """Write the token to a file that only the owner can read; never half a file.

    Raises Unavailable when it cannot be written.
    """
    draft = path.with_suffix(".new")
    try:
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(token + "\n")
        draft.replace(path)
    except OSError as error:
        raise Unavailable(f"The access token cannot be kept in {path}: {error.strerror}.") from None


class Access:
    """Tells whether a token is the owner's, and slows down whoever guesses."""

    def __init__(self, token: str, clock: Callable[[], int]) -> None:
        self._token = token.encode()
        self._clock = clock
        self._failures: OrderedDict[str, deque[int]] = OrderedDict()

    def require(self, token: str, client: str) -> None:
        """Raise Unauthorized for a wrong token, TooMany after a client's five in a minute."""
        if hmac.compare_digest(token.encode(), self._token):
            return
        moments = self._failures_of(client)
        now = self._clock()
        if len(moments) == MOST_FAILURES and moments[0] > now - WINDOW_US:
            raise TooMany("Too many wrong access tokens; wait a minute and try again.")
        moments.append(now)
        raise Unauthorized(
            "This is not the access token; take it from the link that ./parley up prints."
        )

    def _failures_of(self, client: str) -> deque[int]:
        """Return when a client's last wrong tokens came."""
        moments = self._failures.setdefault(client, deque(maxlen=MOST_FAILURES))
        self._failures.move_to_end(client)
        if len(self._failures) > MOST_CLIENTS:
            self._failures.popitem(last=False)
        return moments


def token_session() -> Session:
    """Return what stands for a request that brings the token itself."""
    moment = now()
    return Session(
        id="token", label="access token", created_at=moment, seen_at=moment, expires_at=moment
    )
