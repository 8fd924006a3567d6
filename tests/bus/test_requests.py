"""Requests: typed replies and refusals, several servers, an orderly stop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from parley_bus import Bus, serve
from parley_contracts.base import Contract, Empty
from parley_contracts.errors import (
    Conflict,
    Gone,
    Internal,
    Invalid,
    NotFound,
    ParleyError,
    TooMany,
    Unauthorized,
    Unavailable,
)
from parley_contracts.messages import Message, MessageRef
from parley_contracts.operations import (
    MESSAGES_GET,
    SYSTEM_STATUS,
    THREADS_GET,
    THREADS_LIST,
    WORKERS_BEAT,
)
from parley_contracts.subjects import SERVICE
from parley_contracts.system import SystemStatus
from parley_contracts.threads import ListThreads, ReadThread, ThreadList
from parley_contracts.turns import Beat, BeatReply

VERSION = "1.2.3"
BEAT = Beat(worker_id="w")


async def beat(request: Beat) -> BeatReply:
    return BeatReply(held=(request.worker_id,), lease_s=10.0)


async def test_a_reply_comes_back_typed(gateway: Bus, worker: Bus) -> None:
    await serve(gateway, SERVICE, VERSION, {WORKERS_BEAT: beat})
    assert await worker.request(WORKERS_BEAT, BEAT) == BeatReply(held=("w",), lease_s=10.0)


async def test_encoded_replies_pass_byte_by_byte(gateway: Bus, web: Bus) -> None:
    body = b'{ "threads" : [],  "cursor":"\xc3\xbc" }'

    async def listed(_: ListThreads) -> bytes:
        return body

    await serve(gateway, SERVICE, VERSION, {THREADS_LIST: listed})
    assert await web.request_raw(THREADS_LIST, ListThreads()) == body
    assert await web.request(THREADS_LIST, ListThreads()) == ThreadList(threads=(), cursor="ü")


@pytest.mark.parametrize(
    "refusal",
    [
        Invalid("Wrong, and mehr: ü.\nSecond line.", field="text"),
        Unauthorized("Sign in."),
        NotFound("No such message.", kind="no-message"),
        Conflict("Stale.", kind="stale-revision", field="revision"),
        Gone("Deleted."),
        TooMany("Slow down."),
        Internal("Ours."),
        Unavailable("Later."),
    ],
    ids=lambda refusal: type(refusal).__name__,
)
async def test_a_refusal_keeps_its_class_kind_field_and_sentence(
    gateway: Bus, web: Bus, refusal: ParleyError
) -> None:
    async def refuse(_: MessageRef) -> Message:
        raise refusal

    await serve(gateway, SERVICE, VERSION, {MESSAGES_GET: refuse})
    with pytest.raises(type(refusal)) as caught:
        await web.request(MESSAGES_GET, MessageRef(id="m"))
    assert caught.value.problem() == refusal.problem()


@pytest.mark.parametrize(
    ("body", "field"),
    [(b"{}", "id"), (b'{"id": "t", "limit": "many"}', "limit"), (b"no json", None), (b"[]", None)],
)
async def test_a_wrong_request_is_refused_and_its_field_named(
    gateway: Bus, web: Bus, body: bytes, field: str | None
) -> None:
    async def never(_: ReadThread) -> Empty:
        raise AssertionError

    await serve(gateway, SERVICE, VERSION, {THREADS_GET: never})
    answer = await web.ask(THREADS_GET.subject, body)
    assert answer.headers and answer.headers["Nats-Service-Error-Code"] == "422"
    assert json.loads(answer.data).get("field") == field


async def test_a_handlers_fault_is_answered_logged_and_survived(
    gateway: Bus, worker: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    faults = iter([ZeroDivisionError("secret detail")])

    async def sometimes(request: Beat) -> BeatReply:
        for fault in faults:
            raise fault
        return await beat(request)

    await serve(gateway, SERVICE, VERSION, {WORKERS_BEAT: sometimes})
    with pytest.raises(Internal) as caught:
        await worker.request(WORKERS_BEAT, BEAT)
    assert "secret" not in caught.value.detail
    assert "secret detail" in caplog.text
    assert (await worker.request(WORKERS_BEAT, BEAT)).held == ("w",)


async def test_without_a_server_a_request_is_unavailable(gateway: Bus, worker: Bus) -> None:
    with pytest.raises(Unavailable) as caught:
        await worker.request(WORKERS_BEAT, BEAT, timeout=0.3)
    assert caught.value.kind == "no-gateway"


async def test_without_an_answer_a_request_is_unavailable(gateway: Bus, worker: Bus) -> None:
    async def silent(_: Beat) -> BeatReply:
        await asyncio.Event().wait()
        raise AssertionError

    await serve(gateway, SERVICE, VERSION, {WORKERS_BEAT: silent})
    with pytest.raises(Unavailable) as caught:
        await worker.request(WORKERS_BEAT, BEAT, timeout=0.3)
    assert caught.value.kind == "no-gateway"


async def test_a_request_waits_for_a_server_that_is_just_starting(
    gateway: Bus, worker: Bus
) -> None:
    early = asyncio.create_task(worker.request(WORKERS_BEAT, BEAT, timeout=60))
    with pytest.raises(Unavailable):
        await worker.request(WORKERS_BEAT, BEAT, timeout=0.2)
    await serve(gateway, SERVICE, VERSION, {WORKERS_BEAT: beat})
    assert (await early).held == ("w",)


async def test_a_reply_of_another_version_is_a_clear_fault(gateway: Bus, worker: Bus) -> None:
    async def older(_: Beat) -> bytes:
        return b'{"held": 7}'

    await serve(gateway, SERVICE, VERSION, {WORKERS_BEAT: older})
    with pytest.raises(Internal, match=r"workers\.beat"):
        await worker.request(WORKERS_BEAT, BEAT)


async def test_two_servers_of_one_service_share_the_requests(
    connect: Callable[[str], Awaitable[Bus]], worker: Bus
) -> None:
    served: list[str] = []

    def serving(name: str) -> Callable[[Beat], Awaitable[BeatReply]]:
        async def serve(request: Beat) -> BeatReply:
            served.append(name)
            return await beat(request)

        return serve

    for name in ("one", "two"):
        bus = await connect("gateway")
        await serve(bus, SERVICE, VERSION, {WORKERS_BEAT: serving(name)})
    await asyncio.gather(*(worker.request(WORKERS_BEAT, BEAT) for _ in range(200)))
    assert len(served) == 200
    assert set(served) == {"one", "two"}


async def test_requests_run_side_by_side(gateway: Bus, worker: Bus) -> None:
    together = asyncio.Barrier(10)

    async def meet(request: Beat) -> BeatReply:
        await together.wait()
        return await beat(request)

    await serve(gateway, SERVICE, VERSION, {WORKERS_BEAT: meet})
    await asyncio.gather(*(worker.request(WORKERS_BEAT, BEAT) for _ in range(10)))


async def test_stop_answers_what_runs_and_takes_nothing_new(gateway: Bus, worker: Bus) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    served: list[str] = []

    async def slow(request: Beat) -> BeatReply:
        served.append(request.worker_id)
        begun.set()
        await go_on.wait()
        return await beat(request)

    service = await serve(gateway, SERVICE, VERSION, {WORKERS_BEAT: slow})
    running = asyncio.create_task(worker.request(WORKERS_BEAT, BEAT, timeout=60))
    await begun.wait()
    stopping = asyncio.create_task(service.stop())
    await gateway.settled()
    assert not stopping.done()
    go_on.set()
    await stopping
    assert (await running).held == ("w",)
    with pytest.raises(Unavailable):
        await worker.request(WORKERS_BEAT, Beat(worker_id="late"), timeout=0.3)
    assert served == ["w"]


async def test_a_stop_under_load_loses_no_request(
    connect: Callable[[str], Awaitable[Bus]], worker: Bus
) -> None:
    steady, comes_and_goes = await connect("gateway"), await connect("gateway")
    await serve(steady, SERVICE, VERSION, {WORKERS_BEAT: beat})
    stopped = asyncio.Event()

    async def ask() -> int:
        asked = 0
        while not stopped.is_set():
            await worker.request(WORKERS_BEAT, BEAT, timeout=60)
            asked += 1
        return asked

    asking = asyncio.gather(*(ask() for _ in range(20)))
    for _ in range(20):
        service = await serve(comes_and_goes, SERVICE, VERSION, {WORKERS_BEAT: beat})
        await service.stop()
    stopped.set()
    assert all(asked > 0 for asked in await asking)


async def test_a_reply_of_seven_megabytes_arrives(gateway: Bus, web: Bus) -> None:
    body = json.dumps({"threads": [], "cursor": "x" * 7_000_000}).encode()

    async def large(_: ListThreads) -> bytes:
        return body

    await serve(gateway, SERVICE, VERSION, {THREADS_LIST: large})
    assert await web.request_raw(THREADS_LIST, ListThreads(), timeout=30) == body


async def test_a_reply_beyond_the_bounds_is_refused_with_a_sentence(gateway: Bus, web: Bus) -> None:
    async def too_large(_: ListThreads) -> bytes:
        return b" " * 9_000_000

    await serve(gateway, SERVICE, VERSION, {THREADS_LIST: too_large})
    with pytest.raises(Internal, match="too large"):
        await web.request(THREADS_LIST, ListThreads(), timeout=30)


async def test_a_request_beyond_the_bounds_is_invalid(gateway: Bus, web: Bus) -> None:
    with pytest.raises(Invalid, match="too large"):
        await web.ask(THREADS_LIST.subject, b" " * 9_000_000)


async def test_the_nats_command_sees_the_service_and_its_counts(gateway: Bus, owner: Bus) -> None:
    async def broken(_: Contract) -> SystemStatus:
        raise NotFound("gone fishing")

    service = await serve(gateway, SERVICE, VERSION, {SYSTEM_STATUS: broken, WORKERS_BEAT: beat})
    await owner.request(WORKERS_BEAT, BEAT)
    with pytest.raises(NotFound):
        await owner.request(SYSTEM_STATUS, Empty())

    ping, info, stats = [
        json.loads((await owner.ask(f"$SRV.{verb}.{SERVICE}", b"")).data)
        for verb in ("PING", "INFO", "STATS")
    ]
    assert (ping["name"], ping["version"]) == (SERVICE, VERSION)
    assert {each["subject"] for each in info["endpoints"]} == {
        SYSTEM_STATUS.subject,
        WORKERS_BEAT.subject,
    }
    counts = {each["subject"]: each for each in stats["endpoints"]}
    assert counts[WORKERS_BEAT.subject]["num_requests"] == 1
    assert counts[WORKERS_BEAT.subject]["num_errors"] == 0
    assert counts[SYSTEM_STATUS.subject]["last_error"] == "gone fishing"
    assert counts[SYSTEM_STATUS.subject]["average_processing_time"] > 0

    await service.stop()
    with pytest.raises(Unavailable):
        await owner.ask(f"$SRV.PING.{SERVICE}", b"", timeout=0.3)


async def test_a_subscriber_hears_all_in_order_and_survives_its_faults(
    gateway: Bus, web: Bus, worker: Bus
) -> None:
    heard: list[tuple[str, bytes]] = []
    enough = asyncio.Event()

    async def hear(subject: str, payload: bytes) -> None:
        heard.append((subject, payload))
        if len(heard) == 3:
            enough.set()
        if payload == b"1":
            raise RuntimeError("fault of a subscriber")

    subscription = await worker.subscribe("parley.control.cancel.*", hear)
    for number in (b"1", b"2", b"3"):
        await web.publish("parley.control.cancel.t", number)
    await enough.wait()
    assert heard == [("parley.control.cancel.t", number) for number in (b"1", b"2", b"3")]

    await subscription.unsubscribe()
    await web.publish("parley.control.cancel.t", b"4")
    await web.settled()
    await worker.settled()
    assert len(heard) == 3
