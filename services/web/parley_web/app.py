"""The ASGI application: routes of page and API inside the layers that every request passes."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from parley_web import reference
from parley_web.api import ROUTERS
from parley_web.gate import Gate
from parley_web.metrics import Observed
from parley_web.page.routes import error_page
from parley_web.page.routes import routes as page_routes
from parley_web.problems import Problems, pass_on
from parley_web.security import BodyLimit, SameOrigin, SecurityHeaders
from parley_web.state import AppState


def create_app(state: AppState) -> FastAPI:
    """Return the application over the running parts of the service."""
    app = FastAPI(
        title="Parley",
        version=version("parley-web"),
        description=reference.DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        responses={"default": reference.REFUSAL},
        generate_unique_id_function=reference.operation_id,
        separate_input_output_schemas=False,
        strict_content_type=False,
        middleware=[
            Middleware(Observed, counts=state.counts),
            Middleware(SecurityHeaders),
            Middleware(Problems, page=error_page),  # answers what the layers below refuse
            Middleware(SameOrigin, allowed=state.settings.allowed_hosts),
            Middleware(BodyLimit),
            Middleware(Gate),
        ],
        exception_handlers={
            HTTPException: pass_on,
            RequestValidationError: pass_on,
        },
    )
    app.state.parley = state
    for router in ROUTERS:
        app.include_router(router)
    app.router.routes.extend([*reference.routes, *page_routes])
    return app
