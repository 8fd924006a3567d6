"""The JSON API: one module a noun, each with a router."""

from parley_web.api import (
    agents,
    catalog,
    events,
    exports,
    health,
    imports,
    letters,
    messages,
    sessions,
    threads,
    turns,
    usage,
)

ROUTERS = (
    sessions.router,
    threads.router,
    messages.router,
    turns.router,
    events.router,
    exports.router,
    imports.router,
    agents.router,
    letters.router,
    catalog.router,
    usage.router,
    health.router,
)
"""In the order in which the reference shows them."""
