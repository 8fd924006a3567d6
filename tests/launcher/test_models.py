"""What `up` says of models, once the workers can tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from parley_launcher import models
from parley_launcher.web import Web

NOBODY: dict[str, Any] = {"workers": [], "providers": []}
SOMEBODY = {"workers": [{"default_model": "echo:demo"}], "providers": []}
OFFER = {"detail": "local at http://127.0.0.1:1/v1 offers 2 models."}
LOOKED = {"workers": [{"default_model": "local:fake"}], "providers": [OFFER]}


class Catalogs:
    """A page's server whose catalogue is another one each time."""

    def __init__(self, *catalogs: dict[str, Any]) -> None:
        self._next: Iterator[dict[str, Any]] = iter(catalogs)

    def read(self, path: str) -> dict[str, Any]:
        return next(self._next)


async def said(*catalogs: dict[str, Any]) -> list[str]:
    return await models.found(cast(Web, Catalogs(*catalogs)))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again at once."""
    monkeypatch.setattr(models, "ASK_AGAIN_S", 0.0)


async def test_a_worker_that_starts_slowly_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "LOOK_S", -1.0)
    (line,) = await said(NOBODY, NOBODY, SOMEBODY)
    assert line.startswith("no model is connected")


async def test_a_workers_first_look_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "LOOK_S", 60.0)
    assert (await said(NOBODY, SOMEBODY, SOMEBODY, LOOKED))[-1].startswith("local:fake answers")


async def test_a_house_without_a_worker_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "START_S", -1.0)
    assert await said(NOBODY) == ["no worker is there to ask a model"]
