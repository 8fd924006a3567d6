"""What the gateway answers: each operation of the contracts is a command or a query."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version
from typing import Any, TypeVar

from parley_bus import Handler
from parley_contracts import operations as op
from parley_contracts.agents import AgentList
from parley_contracts.base import Contract, Empty
from parley_contracts.errors import Invalid
from parley_contracts.operations import Operation
from parley_contracts.sessions import CheckSession, Session, SessionList, SignedIn, SignIn
from parley_contracts.system import SystemStatus
from parley_contracts.turns import Beat, BeatReply, BeginTurn
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_gateway.access import token_session
from parley_gateway.service import Gateway
from parley_gateway.store import (
    agents,
    claims,
    forks,
    imports,
    letters,
    listing,
    messages,
    reports,
    sessions,
    stopping,
    threads,
    turns,
    views,
    waiting,
)
from parley_gateway.store.records import microseconds
from parley_gateway.store.transaction import Transaction

Q = TypeVar("Q", bound=Contract)

VERSION = version("parley-gateway")

_COMMANDS: dict[Operation[Any, Any], Callable[[Transaction, Any], Contract]] = {
    op.THREADS_CREATE: threads.create,
    op.THREADS_UPDATE: threads.change,
    op.THREADS_NAME: threads.name,
    op.THREADS_DELETE: threads.delete,
    op.THREADS_RESTORE: threads.restore,
    op.THREADS_RESUME: threads.resume,
    op.THREADS_FORK: forks.fork,
    op.THREADS_IMPORT: imports.take_page,
    op.MESSAGES_SEND: messages.send,
    op.MESSAGES_SEND_NOW: messages.send_now,
    op.MESSAGES_UPDATE: waiting.change,
    op.MESSAGES_REMOVE: waiting.remove,
    op.MESSAGES_EDIT: forks.edit,
    op.MESSAGES_REGENERATE: forks.regenerate,
    op.TURNS_RECORD_STEP: claims.record_step,
    op.TURNS_FINISH: turns.finish,
    op.TURNS_RELEASE: claims.release,
    op.TURNS_CANCEL: stopping.cancel,
    op.TURNS_RETRY: turns.retry,
    op.TURNS_DECIDE: turns.decide,
    op.AGENTS_CREATE: agents.create,
    op.AGENTS_UPDATE: agents.change,
    op.SESSIONS_REVOKE: sessions.revoke,
    op.LETTERS_KEEP: letters.keep,
    op.LETTERS_REMOVE: letters.remove,
}

_QUERIES: dict[
    Operation[Any, Any], Callable[[AsyncConnection, Any], Awaitable[Contract | bytes]]
] = {
    op.THREADS_LIST: listing.list_threads,
    op.THREADS_GET: views.open_thread,
    op.MESSAGES_GET: views.read_message,
    op.TURNS_GET: views.read_turn,
    op.TURNS_HISTORY: views.read_history,
    op.AGENTS_GET: views.read_agent,
    op.LETTERS_LIST: letters.list_letters,
    op.LETTERS_GET: letters.read_letter,
    op.SYSTEM_USAGE: reports.usage,
}


class Handlers:
    """The handlers that need more than a transaction or a connection."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._writer = gateway.writer
        self._database = gateway.database

    def all(self) -> Mapping[Operation[Any, Any], Handler]:
        """Return the handler of every operation."""
        return {
            **{operation: self._command(each) for operation, each in _COMMANDS.items()},
            **{operation: self._query(each) for operation, each in _QUERIES.items()},
            op.TURNS_BEGIN: self.begin,
            op.WORKERS_BEAT: self.beat,
            op.AGENTS_LIST: self.list_agents,
            op.SESSIONS_SIGN_IN: self.sign_in,
            op.SESSIONS_CHECK: self.check_session,
            op.SESSIONS_LIST: self.list_sessions,
            op.SYSTEM_STATUS: self.status,
        }

    def _command(self, command: Callable[[Transaction, Q], Contract]) -> Handler:
        async def handle(request: Q) -> Contract:
            return await self._writer.run(command, request)

        return handle

    def _query(self, query: Callable[[AsyncConnection, Q], Awaitable[Contract | bytes]]) -> Handler:
        async def handle(request: Q) -> Contract | bytes:
            async with self._database.reading() as connection:
                return await query(connection, request)

        return handle

    async def begin(self, request: BeginTurn) -> bytes:
        """Claim a turn."""
        return await self._writer.run_relaxed(
            claims.begin, request, no_takeover_before=self._gateway.respite.until
        )

    async def beat(self, request: Beat) -> BeatReply:
        """Extend a worker's leases."""
        return await self._writer.run_relaxed(claims.beat, request)

    async def list_agents(self, request: Empty) -> AgentList:
        """List the agents."""
        async with self._database.reading() as connection:
            return await views.list_agents(connection)

    async def sign_in(self, request: SignIn) -> SignedIn:
        """Begin a session for the access token."""
        self._gateway.access.require(request.token, request.client)
        return await self._writer.run(sessions.start, request.label)

    async def check_session(self, request: CheckSession) -> Session:
        """Tell whose session or token this is; a session that is used lives on."""
        if request.token is not None:
            self._gateway.access.require(request.token, request.client)
            return token_session()
        if request.secret is None:
            raise Invalid("Neither a session nor an access token was given.", field="secret")
        now = self._writer.clock()
        async with self._database.reading() as connection:
            session = await reports.find_session(connection, request.secret, now)
        if microseconds(session.seen_at) < now - sessions.SEEN_US:
            return await self._writer.run_relaxed(sessions.extend, request.secret)
        return session

    async def list_sessions(self, request: Empty) -> SessionList:
        """List the sign-ins."""
        async with self._database.reading() as connection:
            return await reports.list_sessions(connection, self._writer.clock())

    async def status(self, request: Empty) -> SystemStatus:
        """Tell how the house does."""
        return await reports.status(self._database, VERSION)
