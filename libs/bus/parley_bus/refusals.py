"""How a refusal travels: the error headers of a NATS micro service, and a `Problem` as the body."""

from __future__ import annotations

from nats.aio.msg import Msg
from parley_contracts.errors import Internal, ParleyError, Problem, error_from
from pydantic import ValidationError

ERROR = "Nats-Service-Error"
ERROR_CODE = "Nats-Service-Error-Code"


def refusal(error: ParleyError) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers that tell of an error."""
    headers = {ERROR: error.detail, ERROR_CODE: str(error.status)}
    return error.problem().encode(), headers


def reply_of(message: Msg) -> bytes:
    """Return the body of a reply; raise the refusal that it may be."""
    headers = message.headers or {}
    if ERROR_CODE not in headers:
        return bytes(message.data)
    try:
        raise error_from(Problem.model_validate_json(message.data))
    except ValidationError:
        raise Internal(headers.get(ERROR, "The request failed without a reason.")) from None
