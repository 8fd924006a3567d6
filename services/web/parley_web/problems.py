"""Every refusal as `application/problem+json` (RFC 9457), one sentence with what to do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from parley_contracts.base import Contract
from parley_contracts.errors import Internal, Invalid, NotFound, ParleyError, TooMany, Unavailable
from parley_contracts.sentences import invalid as invalid
from parley_contracts.sentences import refused
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER_S = {Unavailable.status: "1", TooMany.status: "60"}

log = logging.getLogger(__name__)


C = TypeVar("C", bound=Contract)


class BadRequest(ParleyError):
    status, title, kind = 400, "Bad request", "bad-request"


class Forbidden(ParleyError):
    status, title, kind = 403, "Forbidden", "forbidden"


class NotAllowed(ParleyError):
    status, title, kind = 405, "Method not allowed", "method-not-allowed"


class TooLarge(ParleyError):
    status, title, kind = 413, "Too large", "too-large"


class Misdirected(ParleyError):
    status, title, kind = 421, "Unknown host", "unknown-host"


def response(request: Request, error: ParleyError) -> Response:
    """Return the refusal as problem+json."""
    headers = {}
    if error.status in _RETRY_AFTER_S:
        headers["Retry-After"] = _RETRY_AFTER_S[error.status]
    if error.status == NotAllowed.status:
        headers["Allow"] = ", ".join(_methods(request))
    return Response(error.problem().encode(), error.status, headers, MEDIA_TYPE)


def checked(contract: type[C], fields: Mapping[str, Any]) -> C:
    """Return the contract that values from outside make. Raises Invalid when they make none."""
    try:
        return contract.model_validate(fields)
    except ValidationError as error:
        raise invalid(error) from None


def refusal(error: Exception) -> ParleyError:
    """Return what to tell the caller about any exception; a fault of ours is logged."""
    match error:
        case ParleyError():
            return error
        case RequestValidationError():
            return _from_request(error.errors()[0])
        case HTTPException():
            return _from_status(error)
        case ClientDisconnect():
            return BadRequest("The request ended before its body did; send it again.")
        case PydanticSerializationError() if "surrogates" in str(error):
            return Invalid("The text holds half of a character; take it out and send again.")
    log.exception("a request failed", exc_info=error)
    return Internal("Something went wrong on our side; the log of the web service says what.")


def _from_request(finding: Mapping[str, Any]) -> ParleyError:
    """Read a finding of the framework, whose place begins with path, query or body."""
    if finding["type"] == "json_invalid":
        reason = f"{finding['ctx']['error']} (character {finding['loc'][1]})"
        return BadRequest(f"The body is not JSON: {reason}.", kind="not-json")
    if finding["type"] == "model_attributes_type":
        return BadRequest(
            "The body must be a JSON object, sent as application/json.", kind="not-json"
        )
    return refused(finding, tuple(finding["loc"])[1:])


def _from_status(error: HTTPException) -> ParleyError:
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            return NotFound("There is nothing at this address; /api/docs lists what there is.")
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return NotAllowed("This method is not possible here; “Allow” names those that are.")
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return TooLarge(error.detail)
    return BadRequest(f"{error.detail}; send JSON in UTF-8.")


async def pass_on(request: Request, error: Exception) -> Response:
    """Turn what router and framework refuse into a refusal of ours, which Problems answers."""
    raise refusal(error) from error


def _methods(request: Request) -> list[str]:
    """Return the methods that the request's path has."""
    return [
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


class Problems:
    """ASGI layer: whatever is raised below becomes a response; nobody sees a traceback.

    `page` shows a refusal to a person who opened an address in the browser.
    """

    def __init__(self, app: ASGIApp, page: Callable[[Request, ParleyError], Response]) -> None:
        self._app = app
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:
            if started or scope["type"] == "lifespan":
                raise
            await self._answer(refusal(error), scope, receive, send)

    async def _answer(self, error: ParleyError, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": error.title})
            return
        request = Request(scope)
        show = self._page if _is_page(request) else response
        await show(request, error)(scope, receive, send)


def _is_page(request: Request) -> bool:
    wanted = request.headers.get("accept", "")
    return "text/html" in wanted and not request.url.path.startswith("/api/")
