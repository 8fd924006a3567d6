"""Turns what the SDK raises into a ModelError: a kind, and one sentence with what to do."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from aiohttp import ClientError
from httpx2 import RequestError
from openai import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
)

from parley_agent_worker.models.base import ModelError, cut
from parley_agent_worker.models.provider import Provider
from parley_agent_worker.text import shortened, sound

BROKEN = (APIConnectionError, RequestError, ClientError)
"""How a connection fails: the SDK lets through some of what its transport raises."""

_OVERFLOW_CODES = ("exceed_context_size_error", "context_length_exceeded")
_OVERFLOW_WORDS = ("context length", "context size", "context window", "maximum context")
_UNAVAILABLE = 503
_SILENT = (
    "The model server {} went silent in the middle of its work; try again, and look into its log "
    "if it happens again."
)
_MALFORMED = (
    "The model server {} sent what is not an answer; check that {} is an OpenAI-compatible address."
)

log = logging.getLogger(__name__)


def failure(
    error: APIError | RequestError | ClientError, provider: Provider, model: str
) -> ModelError:
    """Return what the error means for the owner of `provider` who asked for `model`."""
    if isinstance(error, BROKEN):
        sentence = f"No model server answers at {provider.base_url}; {provider.remedy}"
        return ModelError("unreachable", sentence)
    told = _told(error)
    says = f" (it says: {told})" if told else ""
    if _is_overflow(error, told):
        return ModelError("context-overflow", _overflow(error.body, says))
    if isinstance(error, AuthenticationError | PermissionDeniedError):
        sentence = f"The provider {provider.name} refuses the key; {provider.remedy}"
        return ModelError("unauthorized", sentence)
    if isinstance(error, NotFoundError):
        sentence = f"{provider.name} has no model “{model}”; choose another for this agent{says}."
        return ModelError("unknown-model", sentence)
    if isinstance(error, APIStatusError):
        return _by_status(error, provider, says)
    return ModelError("server-error", f"The model server {provider.name} failed; try again{says}.")


@contextmanager
def translated(provider: Provider, model: str) -> Iterator[None]:
    """Raise as ModelError whatever goes wrong while an answer is read."""
    try:
        yield
    except (TimeoutError, APITimeoutError):
        raise ModelError("stalled", _SILENT.format(provider.name)) from None
    except BROKEN:
        raise cut() from None
    except APIError as error:
        raise failure(error, provider, model) from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        log.warning("%s sent what cannot be read: %s", provider.name, error)
        raise ModelError(
            "malformed", _MALFORMED.format(provider.name, provider.base_url)
        ) from error


def _by_status(error: APIStatusError, provider: Provider, says: str) -> ModelError:
    if isinstance(error, RateLimitError):
        sentence = f"{provider.name} has too much to do, or its quota is used up; try later{says}."
        return ModelError("rate-limited", sentence, retry_after=_retry_after(error))
    if error.status_code == _UNAVAILABLE and "loading" in says.lower():
        return ModelError("loading", f"{provider.name} is still loading the model; try again soon.")
    if isinstance(error, BadRequestError) or error.status_code < 500:
        sentence = f"{provider.name} refuses the request; check the agent's model and parameters"
        return ModelError("bad-request", f"{sentence}{says}.")
    return ModelError("server-error", f"The model server {provider.name} failed; try again{says}.")


def _told(error: APIError) -> str:
    """Return the server's own words, in either spelling: `{"message": …}` or a bare string."""
    body = error.body
    words = body.get("message") if isinstance(body, Mapping) else body
    told = words if isinstance(words, str) else ""
    return shortened(sound(" ".join(told.split())), 400).rstrip(".")


def _is_overflow(error: APIError, told: str) -> bool:
    if error.code in _OVERFLOW_CODES or error.type in _OVERFLOW_CODES:
        return True
    client_fault = not isinstance(error, APIStatusError) or error.status_code in (400, 413)
    return client_fault and any(words in told.lower() for words in _OVERFLOW_WORDS)


def _overflow(body: object, says: str) -> str:
    sizes = body if isinstance(body, Mapping) else {}
    has, takes = sizes.get("n_prompt_tokens"), sizes.get("n_ctx")
    what = f" ({has} tokens; it takes {takes})" if has and takes else says
    return (
        f"The conversation has become longer than the model can take{what}; go on in a new thread, "
        "fork from an earlier message, or choose a model with a longer context."
    )


def _retry_after(error: APIStatusError) -> float | None:
    try:
        return max(0.0, float(error.response.headers.get("retry-after", "")))
    except ValueError:
        return None
