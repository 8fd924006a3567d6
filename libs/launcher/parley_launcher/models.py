"""What `up` and `status` say of models: what was found, and who answers when nothing was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

BUILT_IN = "echo:"
LOOK_S = 3.0
"""How long the first look of a worker at the model servers may take."""
ASK_AGAIN_S = 0.2
TIMEOUT_S = 5.0


async def found(url: str, token: str) -> list[str]:
    """Ask the page's server what the workers found; return it as lines for a person."""
    request = Request(f"{url}/api/catalog", headers={"Authorization": f"Bearer {token}"})  # noqa: S310
    deadline = asyncio.get_running_loop().time() + LOOK_S
    while True:
        try:
            catalog = await asyncio.to_thread(_read, request)
        except OSError:  # the page was closed or is being started again: `status` tells it later
            return []
        lines = list(lines_of(catalog))
        if any(each["detail"] for each in catalog["providers"]):
            return lines
        if asyncio.get_running_loop().time() > deadline:
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


def _read(request: Request) -> dict[str, Any]:
    with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
        catalog: dict[str, Any] = json.load(answer)
        return catalog
