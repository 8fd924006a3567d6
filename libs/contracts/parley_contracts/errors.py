"""Every refusal that may cross a service border.

    ParleyError
    ├── Invalid          422  the request's content is wrong
    ├── Unauthorized     401  not signed in
    ├── NotFound         404  no such thing
    ├── Conflict         409  right request, wrong moment (stale revision, already answered)
    ├── Gone             410  it was deleted
    ├── TooMany          429  slow down
    ├── Internal         500  a fault of ours
    └── Unavailable      503  whoever must answer does not

On NATS an error is the micro service header pair plus a `Problem` as body; on HTTP the same
`Problem` is `application/problem+json` (RFC 9457).
"""

from __future__ import annotations

from typing import ClassVar

from parley_contracts.base import Contract

_PREFIX = "urn:parley:problem:"


class Problem(Contract):
    """RFC 9457 problem details. `detail` is one sentence: what is wrong, what to do."""

    type: str
    title: str
    status: int
    detail: str
    field: str | None = None


class ParleyError(Exception):
    """A refusal with one clear sentence. `kind` is a stable slug that programs may compare."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    kind: str = "internal"

    def __init__(self, detail: str, *, kind: str | None = None, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.kind = kind or type(self).kind
        self.field = field

    def problem(self) -> Problem:
        """Return this refusal as it crosses a border."""
        return Problem(
            type=_PREFIX + self.kind,
            title=self.title,
            status=self.status,
            detail=self.detail,
            field=self.field,
        )


class Invalid(ParleyError):
    status, title, kind = 422, "Invalid request", "invalid"


class Unauthorized(ParleyError):
    status, title, kind = 401, "Not signed in", "unauthorized"


class NotFound(ParleyError):
    status, title, kind = 404, "Not found", "not-found"


class Conflict(ParleyError):
    status, title, kind = 409, "Conflict", "conflict"


class Gone(ParleyError):
    status, title, kind = 410, "Gone", "gone"


class TooMany(ParleyError):
    status, title, kind = 429, "Too many requests", "too-many"


class Internal(ParleyError):
    status, title, kind = 500, "Internal error", "internal"


class Unavailable(ParleyError):
    status, title, kind = 503, "Unavailable", "unavailable"


_BY_STATUS: dict[int, type[ParleyError]] = {
    each.status: each
    for each in (Invalid, Unauthorized, NotFound, Conflict, Gone, TooMany, Internal, Unavailable)
}


def error_from(problem: Problem) -> ParleyError:
    """Return the exception that `problem` describes, an unknown status as Internal."""
    kind = problem.type.removeprefix(_PREFIX)
    return _BY_STATUS.get(problem.status, Internal)(problem.detail, kind=kind, field=problem.field)
