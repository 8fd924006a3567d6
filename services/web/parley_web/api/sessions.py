"""Sign-in and sign-out, and the sign-ins that are good."""

from __future__ import annotations

from fastapi import APIRouter
from parley_contracts.base import Contract, Empty, Id
from parley_contracts.operations import (
    SESSIONS_LIST,
    SESSIONS_REVOKE,
    SESSIONS_SIGN_IN,
)
from parley_contracts.sessions import Secret, SessionRef, SignIn
from starlette.requests import Request
from starlette.responses import Response

from parley_web.api.call import forward
from parley_web.signin import COOKIE, client_of, credential_of, scheme_of, set_cookie
from parley_web.state import AppState, state_of

router = APIRouter(prefix="/api", tags=["Sign-in"])


class Login(Contract):
    """The access token, as the printed link carries it."""

    token: Secret


@router.post("/login", status_code=204)
async def login(request: Request, given: Login) -> Response:
    """Sign in with the access token; the answer sets the session's cookie."""
    label = request.headers.get("user-agent", "")[:200]
    sign_in = SignIn(token=given.token, label=label, client=client_of(request))
    signed_in = await state_of(request).bus.request(SESSIONS_SIGN_IN, sign_in)
    answer = Response(status_code=204)
    set_cookie(answer, signed_in, scheme_of(request))
    return answer


@router.post("/logout", status_code=204)
async def logout(request: Request) -> Response:
    """End the session that this request came with."""
    state = state_of(request)
    credential = credential_of(request)
    if credential.secret:
        await _revoke(state, (await state.sign_ins.check(credential)).id)
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


forward(router, "GET", "/sessions", SESSIONS_LIST)


@router.delete("/sessions/{id}", status_code=204)
async def revoke(request: Request, id: Id) -> Response:
    """End a session."""
    await _revoke(state_of(request), id)
    return Response(status_code=204)


@router.delete("/sessions", status_code=204)
async def revoke_all(request: Request) -> Response:
    """End every session, this one too."""
    state = state_of(request)
    for session in (await state.bus.request(SESSIONS_LIST, Empty())).sessions:
        await _revoke(state, session.id)
    return Response(status_code=204)


async def _revoke(state: AppState, session_id: str) -> None:
    await state.bus.request(SESSIONS_REVOKE, SessionRef(id=session_id))
    state.sign_ins.forget()  # the event that tells the other processes would come a little later
