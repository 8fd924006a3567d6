"""Dead letters: listed, looked at, removed. A turn among them is retried as every turn is."""

from __future__ import annotations

from fastapi import APIRouter
from parley_contracts.operations import LETTERS_GET, LETTERS_LIST, LETTERS_REMOVE

from parley_web.api.call import forward

router = APIRouter(prefix="/api/letters", tags=["Dead letters"])

forward(router, "GET", "", LETTERS_LIST)
forward(router, "GET", "/{id}", LETTERS_GET)
forward(router, "DELETE", "/{id}", LETTERS_REMOVE, status=204)
