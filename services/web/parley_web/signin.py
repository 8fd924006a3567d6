"""Who is asking: the session cookie or the access token."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from parley_bus import Bus
from parley_contracts.base import now
from parley_contracts.errors import ParleyError, Unauthorized, Unavailable
from parley_contracts.operations import SESSIONS_CHECK
from parley_contracts.sessions import CheckSession, Session, SignedIn
from pydantic import ValidationError
from starlette.requests import HTTPConnection
from starlette.responses import Response

from parley_web.relay import Lagged, Relay

COOKIE = "parley_session"
REMEMBER_S = 60.0
CHECK_TIMEOUT_S = 2.0


def credential_of(connection: HTTPConnection) -> CheckSession:
    """Return what the request shows of its sender. Raises Unauthorized when it shows nothing."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    secret = connection.cookies.get(COOKIE)
    try:
        if scheme.lower() == "bearer":
            return CheckSession(token=token.strip(), client=client_of(connection))
        if secret:
            return CheckSession(secret=secret)
    except ValidationError:
        pass
    raise Unauthorized("Sign in first, or send the access token as a Bearer token.")


def client_of(connection: HTTPConnection) -> str:
    """Return the address that a request came from."""
    return connection.client.host[:100] if connection.client else ""


def scheme_of(connection: HTTPConnection) -> str:
    """Return how the browser came: a proxy says so, and whoever lies deceives only himself."""
    said = connection.headers.get("x-forwarded-proto")
    return said if said in ("http", "https") else str(connection.scope["scheme"])


def set_cookie(response: Response, signed_in: SignedIn, scheme: str) -> None:
    """Give the browser its session; no script can read it and no other site makes it sent."""
    response.set_cookie(
        COOKIE,
        signed_in.secret,
        expires=signed_in.expires_at,
        secure=scheme == "https",
        httponly=True,
        samesite="strict",
    )


class SignIns:
    """Asks the gateway whether a sign-in is good, and remembers the yes for a short time.

    While the gateway is away a remembered yes holds on; a revocation makes everything forgotten.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._remembered: dict[CheckSession, tuple[Session, float]] = {}
        self._forgotten = asyncio.Event()

    async def check(self, credential: CheckSession) -> Session:
        """Return the session. Raises Unauthorized, or Unavailable when nobody can tell."""
        session, until = self._remembered.get(credential, (None, 0.0))
        if session and time.monotonic() < until:
            return session
        forgotten = self._forgotten
        try:
            session = await self._bus.request(SESSIONS_CHECK, credential, timeout=CHECK_TIMEOUT_S)
        except Unavailable:
            if session and session.expires_at > now():
                return session
            raise
        except ParleyError:
            self._remembered.pop(credential, None)
            raise
        if not forgotten.is_set():  # a revocation meanwhile may have made the answer old
            self._remembered[credential] = (session, time.monotonic() + REMEMBER_S)
        return session

    def forget(self) -> None:
        """Ask anew from now on, also for the streams that are open."""
        self._remembered.clear()
        self._forgotten.set()
        self._forgotten = asyncio.Event()

    async def revoked(self, credential: CheckSession) -> None:
        """Return when the sign-in is no longer good."""
        while True:
            await self._forgotten.wait()
            try:
                await self.check(credential)
            except ParleyError:
                return

    async def run(self, relay: Relay) -> None:
        """Forget at every revocation, until cancelled."""
        with relay.subscribe((None, "sessions_changed")) as revocations:
            while True:
                with suppress(Lagged):
                    await revocations.get()
                self.forget()
