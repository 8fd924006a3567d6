"""The gate, closed by default: nobody passes who is not signed in, except to a few addresses."""

from __future__ import annotations

from parley_contracts.errors import Unauthorized
from starlette.datastructures import URL
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from parley_web.signin import credential_of
from parley_web.state import state_of

_OPEN = frozenset(
    {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/signin"), ("POST", "/api/login")}
)
_PROGRAMS = ("/api/", "/page/", "/metrics")
"""Where nobody follows a redirect to the sign-in page …"""
_REFERENCE = "/api/docs"
"""… but here, which is for people."""


class Gate:
    """ASGI layer: lets nobody in who is not signed in, except to the few open addresses."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (
            scope["type"] == "http" and is_open(scope["method"], scope["path"])
        ):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        try:
            await state_of(connection).sign_ins.check(credential_of(connection))
        except Unauthorized:
            if _is_program(scope):
                raise
            await _to_sign_in(connection.url)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _to_sign_in(url: URL) -> Response:
    """Return the way to the sign-in page and back."""
    back = url.path + (f"?{url.query}" if url.query else "")
    return RedirectResponse(URL("/signin").include_query_params(next=back), 303)


def is_open(method: str, path: str) -> bool:
    """Tell whether an address answers without a sign-in."""
    if method == "HEAD":
        method = "GET"
    return (method, path) in _OPEN or (method == "GET" and path.startswith("/static/"))


def _is_program(scope: Scope) -> bool:
    return (
        scope["type"] != "http"
        or scope["method"] not in ("GET", "HEAD")
        or (scope["path"].startswith(_PROGRAMS) and scope["path"] != _REFERENCE)
    )
