"""Which models there are: what the environment names, what answers on this machine, and `echo:`.

What the providers list is remembered and refreshed in the background, so that `auto` costs a turn
nothing; only while nothing was found does a turn wait for another look.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from parley_contracts.catalog import ModelInfo, ProviderInfo

from parley_agent_worker.models import presets
from parley_agent_worker.models.base import Model, ModelError
from parley_agent_worker.models.discovery import open_ports, server_kind
from parley_agent_worker.models.echo import DEMO, EchoModel
from parley_agent_worker.models.provider import Provider
from parley_agent_worker.settings import WorkerSettings

if TYPE_CHECKING:
    from parley_agent_worker.models.openai import OpenAIModel

AUTO = "auto"
ECHO = "echo"
LOOK_S = 1.0
"""How long a turn waits for another look at the providers."""
FIRST_LOOK_S = 10.0
"""The first look imports the SDK; until it is over nothing is known."""
LIST_S = 5.0
_NO_CHAT = re.compile(
    r"embed|rerank|whisper|tts|dall-e|image|audio|realtime|transcribe|moderation|sora|babbage|davinci",
    re.IGNORECASE,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """A model that was chosen: its full name, who answers, and the name the provider knows."""

    name: str
    model: Model
    id: str

    @property
    def is_echo(self) -> bool:
        """Whether this is the built-in model."""
        return self.name.startswith(f"{ECHO}:")


class Providers:
    """The models within reach."""

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        adjust: Callable[[Provider], Provider] = lambda provider: provider,
    ) -> None:
        self._default_model = settings.default_model
        self._discovers = settings.discover == "on" and not settings.local_base_url
        self._adjust = adjust
        self._providers = {
            name: adjust(each) for name, each in presets.configured(settings).items()
        }
        self._clients: dict[Provider, OpenAIModel] = {}
        self._models: dict[str, tuple[str, ...]] = {}
        self._details: dict[str, str] = {}
        self._looking: asyncio.Task[None] | None = None
        self._has_looked = False

    @property
    def infos(self) -> tuple[ProviderInfo, ...]:
        """Each provider as it was last seen."""
        return tuple(
            ProviderInfo(
                name=name,
                base_url=provider.base_url,
                reachable=name in self._models,
                detail=self._details.get(name, ""),
            )
            for name, provider in self._providers.items()
        )

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """Every model that a reachable provider lists, and the built-in one."""
        names = [f"{name}:{id}" for name in self._providers for id in self._models.get(name, ())]
        return tuple(ModelInfo(id=each) for each in [*names, f"{ECHO}:{DEMO}"])

    @property
    def default_model(self) -> str:
        """What `auto` means, as far as is known now."""
        if self._default_model:
            return self._default_model
        names = (each.id for each in self.models if not _NO_CHAT.search(each.id))
        return next(names, f"{ECHO}:{DEMO}")

    @property
    def _knows_the_default(self) -> bool:
        """Whether `auto` has its model, and no provider before that one is still to be asked."""
        if self._default_model:
            return True
        chosen = self.default_model.partition(":")[0]
        before = takewhile(lambda name: name != chosen, self._providers)
        return chosen != ECHO and all(name in self._details for name in before)

    async def choose(self, name: str) -> Choice:
        """Return the model that `provider:model` or `auto` names; ModelError when there is none."""
        if name == AUTO:
            if not self._knows_the_default:
                await self._wait_for_a_look()
            name = self.default_model
        provider, _, model = name.partition(":")
        if provider == ECHO:
            return Choice(name, EchoModel(self._trouble), model)
        if provider == "local" and provider not in self._providers:
            await self._wait_for_a_look()
        return Choice(name, await self._client(provider), model)

    def look(self) -> asyncio.Task[None]:
        """Ask all providers anew what they offer, in the background; one look at a time."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return self._looking

    async def _wait_for_a_look(self) -> None:
        limit = LOOK_S if self._has_looked else FIRST_LOOK_S
        await asyncio.wait([self.look()], timeout=limit)

    async def close(self) -> None:
        """Close all connections."""
        if self._looking:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        await asyncio.gather(*(client.close() for client in self._clients.values()))

    async def _look(self) -> None:
        try:
            if self._discovers:
                await self._discover()
            await asyncio.gather(*(self._list(name) for name in self._providers))
        except Exception:
            log.exception("the providers could not be asked what they offer")
        self._has_looked = True

    async def _discover(self) -> None:
        """Make the first model server on the usual ports the provider `local`."""
        known = self._providers.get("local")
        found = await self._search(known)
        if found == known:
            return
        for each in (self._providers, self._models, self._details):
            each.pop("local", None)
        if found:
            self._providers = {"local": found, **self._providers}

    async def _search(self, known: Provider | None) -> Provider | None:
        for port in await open_ports():
            provider = self._adjust(presets.local(f"http://127.0.0.1:{port}"))
            if provider == known or await self._lists_models(provider):
                return provider
        return None

    async def _lists_models(self, provider: Provider) -> bool:
        with suppress(ModelError):
            return bool(await (await self._connection(provider)).list(LOOK_S))
        return False

    async def _list(self, name: str) -> None:
        try:
            listed = await (await self._client(name)).list(LIST_S)
        except ModelError as error:
            self._models.pop(name, None)
            self._tell(name, error.detail)
            return
        self._models[name] = tuple(
            each["id"] for each in listed if not re.search(r"\s", each["id"])
        )
        where = self._providers[name].base_url
        self._tell(name, f"{server_kind(listed)} at {where} offers {_counted(listed)}")

    def _tell(self, name: str, detail: str) -> None:
        if self._details.get(name) != detail:
            log.info("provider %s: %s", name, detail)
        self._details[name] = detail

    def _trouble(self) -> str:
        """Return why no model could be found, for the built-in model to tell."""
        details = (self._details.get(name) for name in self._providers if name not in self._models)
        return " ".join(each for each in details if each)

    async def _client(self, name: str) -> OpenAIModel:
        if name not in self._providers:
            raise ModelError("unreachable", presets.missing(name))
        return await self._connection(self._providers[name])

    async def _connection(self, provider: Provider) -> OpenAIModel:
        """Return the provider's client; the SDK is imported only when there is a server."""
        if provider not in self._clients:
            module = await asyncio.to_thread(import_module, "parley_agent_worker.models.openai")
            try:
                self._clients.setdefault(provider, module.OpenAIModel(provider))
            except Exception as error:
                raise ModelError("unreachable", presets.unusable(provider, error)) from error
        return self._clients[provider]


def _counted(models: list[dict[str, Any]]) -> str:
    return "1 model" if len(models) == 1 else f"{len(models)} models"
