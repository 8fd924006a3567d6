"""Which model answers: what is set up, what is found on this machine, and what `auto` means."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from agent_worker.stage import worker_settings
from eventually import PATIENCE_S, eventually
from fakes.model_process import ModelProcess
from parley_agent_worker.models import discovery
from parley_agent_worker.models.base import ModelError
from parley_agent_worker.models.providers import Providers
from parley_agent_worker.settings import WorkerSettings
from parley_contracts.errors import Invalid

Make = Callable[..., Providers]
FindOn = Callable[..., None]
NOWHERE = "http://127.0.0.1:1/v1"


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Make providers from settings, with the search of the machine off unless told."""
    made: list[Providers] = []

    def providers(**settings: Any) -> Providers:
        made.append(Providers(worker_settings(**settings)))
        return made[-1]

    yield providers
    for each in made:
        await each.close()


async def chosen(providers: Providers, name: str = "auto") -> tuple[str, str]:
    choice = await providers.choose(name)
    return choice.name, choice.id


async def test_without_any_provider_auto_is_the_echo(make: Make) -> None:
    assert await chosen(make()) == ("echo:demo", "demo")


async def test_auto_is_the_first_model_that_a_reachable_provider_lists(
    make: Make, model_server: ModelProcess
) -> None:
    providers = make(openai_base_url=NOWHERE, local_base_url=model_server.url)
    assert await chosen(providers) == ("local:fake", "fake")


async def test_auto_passes_over_models_that_cannot_chat(make: Make) -> None:
    server = ModelProcess("--models", "nomic-embed-text,bge-reranker,chatty")
    assert await chosen(make(local_base_url=server.url)) == ("local:chatty", "chatty")
    server.kill()


async def test_the_owners_default_model_is_what_auto_means(
    make: Make, model_server: ModelProcess
) -> None:
    providers = make(default_model="local:other", local_base_url=model_server.url)
    assert await chosen(providers) == ("local:other", "other")


async def test_a_model_server_that_starts_later_is_found_by_the_next_turn(
    make: Make, find_on: FindOn, model_server: ModelProcess
) -> None:
    providers = make(discover="on")
    find_on(1)
    assert await chosen(providers) == ("echo:demo", "demo")
    find_on(model_server.port)
    assert await chosen(providers) == ("local:fake", "fake")
    assert [(each.name, each.reachable) for each in providers.infos] == [("local", True)]
    assert f"llama-swap at {model_server.url} offers 2 models" in providers.infos[0].detail


async def test_a_model_server_that_is_gone_is_forgotten(make: Make, find_on: FindOn) -> None:
    server = ModelProcess("--owner", "llamacpp")
    find_on(server.port)
    providers = make(discover="on")
    assert await chosen(providers) == ("local:fake", "fake")
    server.kill()
    await asyncio.wait([providers.look()])
    assert await chosen(providers) == ("echo:demo", "demo")
    assert providers.infos == ()


async def test_what_listens_but_is_no_model_server_is_passed_over(
    make: Make, find_on: FindOn, model_server: ModelProcess
) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        writer.close()

    other = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    find_on(port)
    assert await chosen(make(discover="on")) == ("echo:demo", "demo")
    find_on(port, model_server.port)
    assert await chosen(make(discover="on")) == ("local:fake", "fake")
    other.close()


async def test_a_model_server_on_an_earlier_port_takes_the_place_of_the_one_before(
    make: Make, find_on: FindOn, model_server: ModelProcess
) -> None:
    find_on(model_server.port)
    providers = make(discover="on")
    assert await chosen(providers) == ("local:fake", "fake")
    earlier = ModelProcess("--models", "chatty")
    find_on(earlier.port, model_server.port)
    await asyncio.wait([providers.look()])
    assert await chosen(providers) == ("local:chatty", "chatty")
    assert [each.base_url for each in providers.infos] == [earlier.url]
    earlier.kill()


async def test_auto_waits_for_the_first_provider_however_late_it_tells_what_it_offers(
    make: Make, model_server: ModelProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("LIST_S", "FIRST_LOOK_S"):
        monkeypatch.setattr(f"parley_agent_worker.models.providers.{limit}", PATIENCE_S)
    told = asyncio.Event()

    async def tell_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await told.wait()
        body = b'{"data": [{"id": "late"}]}'
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % len(body) + body)
        writer.close()

    late = await asyncio.start_server(tell_late, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{late.sockets[0].getsockname()[1]}"
    providers = make(local_base_url=address, openai_base_url=model_server.url)
    providers.look()

    async def the_other_has_told() -> bool:
        return "openai:fake" in [each.id for each in providers.models]

    await eventually(the_other_has_told)
    choosing = asyncio.create_task(chosen(providers))
    await asyncio.sleep(0)
    told.set()
    assert await choosing == ("local:late", "late")
    listed = ["local:late", "openai:fake", "openai:other", "echo:demo"]
    assert [each.id for each in providers.models] == listed
    late.close()


async def test_a_look_that_fails_by_a_fault_is_told_and_nobody_waits_for_it_again(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> list[int]:
        raise ZeroDivisionError

    monkeypatch.setattr("parley_agent_worker.models.providers.open_ports", fail)
    assert await chosen(make(discover="on")) == ("echo:demo", "demo")
    (record,) = caplog.records
    assert record.getMessage() == "the providers could not be asked what they offer"


async def test_a_set_address_is_not_searched_for_elsewhere(
    make: Make, find_on: FindOn, model_server: ModelProcess
) -> None:
    find_on(model_server.port)
    providers = make(discover="on", local_base_url=NOWHERE)
    await asyncio.wait([providers.look()])
    assert await chosen(providers) == ("echo:demo", "demo")
    assert providers.infos[0].detail.startswith(f"No model server answers at {NOWHERE}; start it")


async def test_the_demo_says_why_no_model_answers(make: Make) -> None:
    providers = make(local_base_url=NOWHERE)
    choice = await providers.choose("auto")
    from parley_agent_worker.models.base import ModelRequest, TextChunk

    stream = choice.model.stream(ModelRequest("demo", [], question="hi"))
    words = "".join([each.text async for each in stream if isinstance(each, TextChunk)])
    assert f"No model server answers at {NOWHERE}" in words


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("local:x", "No model server was found on this machine; start llama-server"),
        ("openai:x", "set OPENAI_API_KEY and start again"),
        ("anthropic:x", "set ANTHROPIC_API_KEY"),
        ("mistral:x", "There is no provider “mistral”; the known ones are local, openai"),
    ],
)
async def test_a_provider_that_is_not_there_is_named_with_the_remedy(
    make: Make, name: str, told: str
) -> None:
    with pytest.raises(ModelError) as failure:
        await make().choose(name)
    assert failure.value.kind == "unreachable"
    assert told in failure.value.detail


async def test_a_proxy_that_cannot_be_used_is_named_and_hinders_no_other_provider(
    make: Make, model_server: ModelProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks4://127.0.0.1:1080")
    providers = make(openai_api_key="sk-x", local_base_url=model_server.url)
    with pytest.raises(ModelError) as failure:
        await providers.choose("openai:x")
    assert failure.value.kind == "unreachable"
    assert "HTTPS_PROXY" in failure.value.detail
    await asyncio.wait([providers.look()])
    assert [(each.name, each.reachable) for each in providers.infos] == [
        ("local", True),
        ("openai", False),
    ]
    assert "socks4" in providers.infos[1].detail


async def test_a_model_id_may_hold_colons_and_slashes(
    make: Make, model_server: ModelProcess
) -> None:
    providers = make(local_base_url=model_server.url)
    assert (await providers.choose("local:org/model:7b")).id == "org/model:7b"


async def test_an_address_without_a_path_gets_the_usual_one(
    make: Make, model_server: ModelProcess
) -> None:
    bare = model_server.url.removesuffix("/v1")
    for address in (bare, f"{bare}/", model_server.url, f"{model_server.url}/"):
        assert await chosen(make(local_base_url=address)) == ("local:fake", "fake")


async def test_keys_never_show(make: Make) -> None:
    settings = worker_settings(openai_api_key="sk-secret", openai_base_url=NOWHERE)
    providers = Providers(settings)
    await asyncio.wait([providers.look()])
    assert "sk-secret" not in f"{settings!r}{providers.infos!r}{vars(providers)!r}"
    await providers.close()


@pytest.mark.parametrize("model", ["auto", "gpt", "local: x"])
def test_a_wrong_default_model_is_named(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    monkeypatch.setenv("PARLEY_DEFAULT_MODEL", model)
    monkeypatch.setenv("PARLEY_NATS_CONTEXT", "none.json")
    with pytest.raises(Invalid, match="PARLEY_DEFAULT_MODEL"):
        WorkerSettings()


@pytest.fixture
def find_on(monkeypatch: pytest.MonkeyPatch) -> FindOn:
    """Let these ports be the usual ones of model servers."""

    def find(*ports: int) -> None:
        search: Callable[[], Awaitable[list[int]]] = lambda: discovery.open_ports(ports)  # noqa: E731
        monkeypatch.setattr("parley_agent_worker.models.providers.open_ports", search)

    return find
