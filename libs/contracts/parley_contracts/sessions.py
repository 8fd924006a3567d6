"""Sign-ins of the owner."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from parley_contracts.base import Contract, Id, Text, Timestamp

Secret = Annotated[str, Field(min_length=1, max_length=200)]
Client = Annotated[str, Field(max_length=100)]
"""The address a request came from; wrong tokens are counted by it."""


class SignIn(Contract):
    """Exchange the access token for a session."""

    token: Secret
    label: Annotated[Text, Field(max_length=200)] = ""
    client: Client = ""


class SignedIn(Contract):
    """A new session. `secret` goes into the cookie and is stored nowhere but as a hash."""

    id: Id
    secret: Secret
    expires_at: Timestamp


class CheckSession(Contract):
    """Is this session's secret, or this access token, good?"""

    secret: Secret | None = None
    token: Secret | None = None
    client: Client = ""


class Session(Contract):
    """A sign-in as the owner sees it. A request with the access token itself has the id `token`."""

    id: Id
    label: str = ""
    created_at: Timestamp
    seen_at: Timestamp
    expires_at: Timestamp


class SessionRef(Contract):
    """Names a session."""

    id: Id


class SessionList(Contract):
    """Sessions that are still good, newest first."""

    sessions: tuple[Session, ...]
