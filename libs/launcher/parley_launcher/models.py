"""What `up` and `status` say of models: what was found, and who answers when nothing was."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from parley_launcher.errors import Trouble
from parley_launcher.web import Web

BUILT_IN = "echo:"
LOOK_S = 3.0
"""How long the first look of a worker at the model servers may take."""
START_S = 60.0
"""How long the first worker may take to show itself, which on a slow machine is no short time."""
ASK_AGAIN_S = 0.2


async def found(web: Web) -> list[str]:
    """Ask the page's server what the workers found; return it as lines for a person."""
    now = asyncio.get_running_loop().time
    deadline, shown = now() + START_S, False
    while True:
        try:
            catalog = await asyncio.to_thread(web.read, "/api/catalog")
        except Trouble:  # the page was closed or is being started again: `status` tells it later
            return []
        lines = list(lines_of(catalog))
        if any(each["detail"] for each in catalog["providers"]):
            return lines
        if catalog["workers"] and not shown:
            deadline, shown = now() + LOOK_S, True
        if now() > deadline:
            return lines
        await asyncio.sleep(ASK_AGAIN_S)


def lines_of(catalog: dict[str, Any]) -> Iterator[str]:
    """Yield each provider as it was found, then what `auto` means."""
    for each in catalog["providers"]:
        if each["detail"]:
            yield each["detail"].removesuffix(".")
    default = next((each["default_model"] for each in catalog["workers"]), None)
    if default is None:
        yield "no worker is there to ask a model"
    elif default.startswith(BUILT_IN):
        yield f"no model is connected, so the built-in {default} answers (README: Connect a model)"
    else:
        yield f"{default} answers for agents whose model is auto"
