"""ASGI layers against hostile pages: known hosts, same origin, strict headers, bounded bodies."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from parley_web.problems import Forbidden, Misdirected

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "worker-src 'self'; img-src 'self' data: blob:; font-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_BODY = 2 * 1024 * 1024
"""Room for the longest message, also with twelve bytes a character as JSON may write it."""
MAX_IMPORT = 256 * 1024 * 1024
IMPORT_PATH = "/api/threads/import"


class SecurityHeaders:
    """Puts the headers on every response; what a handler set itself stays."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


class SameOrigin:
    """Refuses requests under a foreign name and unsafe requests that another site has caused.

    A page of another site could point its own name at this machine (DNS rebinding) and would then
    be of the same origin; so only addresses, this machine's names and `allowed` ones are answered.
    """

    def __init__(self, app: ASGIApp, allowed: Collection[str] = ()) -> None:
        self._app = app
        own = socket.gethostname().lower()
        self._names = {"localhost", own, f"{own}.local", *(name.lower() for name in allowed)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            headers = Headers(scope=scope)
            self._check_host(headers.get("host", ""))
            if scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS:
                _check_origin(headers)
        await self._app(scope, receive, send)

    def _check_host(self, host: str) -> None:
        name = _hostname(host)
        if name in self._names or name.endswith(".localhost") or _is_address(name):
            return
        raise Misdirected(
            f"Parley does not know itself as “{name}”; open it by its address, "
            "or add the name to PARLEY_ALLOWED_HOSTS."
        )


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _check_origin(headers: Headers) -> None:
    """Believe the browser's word on where a request comes from; other programs give none."""
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if site is not None:
        same = site in ("same-origin", "none")
    else:
        same = origin is None or origin.partition("://")[2] == headers.get("host")
    if not same:
        raise Forbidden("Another site sent this request, so it was not carried out.")


class BodyLimit:
    """Refuses bodies that are too long, by their declared length or as soon as they exceed it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = MAX_IMPORT if scope["path"] == IMPORT_PATH else MAX_BODY
        declared = Headers(scope=scope).get("content-length", "0")
        _check_length(int(declared) if declared.isdecimal() else 0, limit)
        read = 0

        async def receive_counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            _check_length(read, limit)
            return message

        await self._app(scope, receive_counted, send)


def _check_length(length: int, limit: int) -> None:
    if length > limit:
        # An HTTPException, because the framework turns any other into "cannot parse the body".
        sentence = f"The body is too large: at most {limit // 1024**2} MB are taken here."
        raise HTTPException(413, sentence)
