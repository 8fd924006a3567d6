"""How a call of the HTTP API becomes an operation of the gateway.

The fields of an operation's request come from path, query and JSON body; its reply's bytes pass
through undecoded. Calls that are just that are one line each (`forward`); the others are functions
that get the same checked request (`asked`).
"""

from __future__ import annotations

import re
from functools import cache
from http import HTTPStatus
from inspect import Parameter, Signature
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Body, Depends, Query
from fastapi import Path as PathParameter
from parley_contracts.base import Contract
from parley_contracts.operations import Operation
from pydantic import create_model
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from parley_web.problems import checked
from parley_web.state import state_of

_WITH_BODY = frozenset({"POST", "PATCH", "PUT"})


class Json(Response):
    """JSON that is already encoded."""

    media_type = JSONResponse.media_type


def forward(
    router: APIRouter, method: str, path: str, operation: Operation[Any, Any], *, status: int = 200
) -> None:
    """Add a call that is the operation itself; with status 204 its reply stays unsaid."""
    silent = status == HTTPStatus.NO_CONTENT
    source = Body() if method in _WITH_BODY else Query()
    checked = asked(operation.request, *re.findall(r"{(\w+)}", path), source=source)

    async def answer(request: Request, query: Contract = checked) -> Response:
        reply = await state_of(request).bus.request_raw(operation, query)
        return Response(status_code=status) if silent else Json(reply, status)

    router.add_api_route(
        path,
        answer,
        methods=[method],
        status_code=status,
        name=operation.name,
        summary=operation.summary,
        response_model=None if silent else operation.reply,
    )


def asked(
    contract: type[Contract], *in_path: str, source: Any = None, hidden: tuple[str, ...] = ()
) -> Any:
    """Return the dependency that is the contract with the fields `in_path` taken from the path.

    The others come from `source`, the JSON body unless told otherwise; `hidden` ones from nowhere.
    """
    rest = _without(contract, (*in_path, *hidden))

    async def ask(**given: Any) -> Contract:
        others = given.pop("rest", None)
        fields = others.model_dump(exclude_unset=True) if others else {}
        return checked(contract, fields | given)

    parameters = [_parameter(name, Annotated[str, PathParameter()]) for name in in_path]
    if rest.model_fields:
        optional = not any(field.is_required() for field in rest.model_fields.values())
        default = None if optional else Parameter.empty
        parameters.append(_parameter("rest", Annotated[rest, source or Body()], default))
    ask.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return Depends(ask)


def _parameter(name: str, annotation: Any, default: Any = Parameter.empty) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


@cache
def _without(contract: type[Contract], names: tuple[str, ...]) -> type[Contract]:
    """Return the contract less some fields."""
    fields: dict[str, Any] = {
        name: (field.annotation, field)
        for name, field in contract.model_fields.items()
        if name not in names
    }
    return create_model(contract.__name__, __base__=Contract, __doc__=contract.__doc__, **fields)


def attachment(filename: str) -> dict[str, str]:
    """Return the header that makes a browser save the answer under this name."""
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(filename, safe='')}"}
