"""A whole gateway for tests, over a real broker, and a worker that does what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from broker import Broker
from eventually import PATIENCE_S, eventually
from gateway_store import Clock
from parley_bus import Bus, EventRecord, Events, Slot, SlotQueue, serve
from parley_contracts import operations as op
from parley_contracts.base import new_id
from parley_contracts.errors import ParleyError, Unavailable
from parley_contracts.messages import SendMessage
from parley_contracts.subjects import SERVICE, TURNS
from parley_contracts.threads import Accepted, ReadThread, ThreadView
from parley_contracts.turns import BeginReply, BeginTurn, Claim, FinishTurn, TurnGranted, TurnSlot
from parley_gateway.defaults import ensure_agents
from parley_gateway.handlers import Handlers
from parley_gateway.service import Gateway
from parley_gateway.store.database import Database
from patient_bus import PatientBus
from sqlalchemy import URL

TOKEN = "the owner's token"


class GatewayHouse:
    """A running gateway with the owner's and a worker's connection beside it."""

    def __init__(self, gateway: Gateway, clock: Clock, owner: Bus, worker: Bus, bus: Bus) -> None:
        self.gateway = gateway
        self.clock = clock
        self.owner = owner
        self.worker = worker
        self.bus = bus
        self.slots = SlotQueue(bus, TURNS)
        self.events = Events(bus)

    async def send(self, text: str, thread: str = "t", **fields: str) -> Accepted:
        """Send a message as the owner."""
        command = SendMessage.model_validate({"thread_id": thread, "text": text, **fields})
        return await self.owner.request(op.MESSAGES_SEND, command)

    async def view(self, thread: str = "t") -> ThreadView:
        """Open a thread."""
        return await self.owner.request(op.THREADS_GET, ReadThread(id=thread, limit=500))

    async def slot(self, thread: str = "t") -> Slot:
        """Return what lies in a thread's slot, as soon as something does."""
        found: list[Slot] = []

        async def filled() -> bool:
            slot = await self.slots.peek(thread)
            found.extend([slot] if slot else [])
            return bool(found)

        await eventually(filled)
        return found[-1]

    async def taken(self, thread: str = "t") -> tuple[Slot, TurnGranted]:
        """Claim the turn of a thread, and return the slot that it was claimed from.

        The sweeper may have dispatched it anew since somebody looked: then the slot holds it under
        another number a moment later.
        """
        found: list[tuple[Slot, TurnGranted]] = []

        async def granted() -> bool:
            slot = await self.slot(thread)
            reply = await self.begin(slot)
            found.extend([(slot, reply)] if isinstance(reply, TurnGranted) else [])
            return bool(found)

        await eventually(granted)
        return found[-1]

    @asynccontextmanager
    async def unswept(self) -> AsyncIterator[None]:
        """Let nothing be swept inside, so that only the fast path acts."""
        async with self.gateway._sweeping:
            yield

    async def begin(self, slot: Slot, claim: str | None = None) -> BeginReply:
        """Claim what a slot holds."""
        content = TurnSlot.model_validate_json(slot.payload)
        command = BeginTurn(
            turn_id=content.turn_id,
            dispatch_no=content.dispatch_no,
            claim=claim or new_id(),
            worker_id="by-hand",
        )
        return await self.worker.request(op.TURNS_BEGIN, command)

    async def finish(self, claim: Claim, slot: Slot | None, text: str = "answer") -> None:
        """Finish a claimed turn."""
        command = FinishTurn(
            claim=claim,
            outcome="completed",
            text=text,
            slot_sequence=slot.sequence if slot else None,
        )
        await self.worker.request(op.TURNS_FINISH, command)

    async def answer(self, thread: str = "t") -> None:
        """Answer the turn of a thread."""
        slot, reply = await self.taken(thread)
        await self.finish(reply.claim, slot, reply.message.text.upper())

    async def handle(self, slot: Slot) -> None:
        """Answer what a slot holds, with its question in capitals; try until it is done."""
        while True:
            try:
                reply = await self.begin(slot)
                if isinstance(reply, TurnGranted):
                    await self.finish(reply.claim, slot, reply.message.text.upper())
                return
            except ParleyError as error:
                if error.status != 503:
                    raise

    @asynccontextmanager
    async def working(self, room: int = 8) -> AsyncIterator[None]:
        """Answer whatever comes."""
        consumer = SlotQueue(self.worker, TURNS).consume(self.handle, room=room)
        yield
        await consumer.stop(5)

    async def next_event(self, kind: str, after: int = 0) -> EventRecord:
        """Return the first event of a kind after a sequence, as soon as there is one."""
        following = self.events.follow(after=after or await self.first() - 1)
        async with asyncio.timeout(PATIENCE_S), aclosing(following) as records:
            async for record in records:
                if record.kind == kind:
                    return record
        raise AssertionError("following events never ends")

    async def first(self) -> int:
        """Return the event stream's first sequence."""
        return (await self.events.bounds())[0]

    async def has_swept(self) -> bool:
        """Whether the streams are there."""
        try:
            return await self.first() > 0
        except Unavailable:
            return False


@asynccontextmanager
async def running_gateway(url: URL, broker: Broker, clock: Clock) -> AsyncIterator[GatewayHouse]:
    """Run a gateway until the block ends; its operations are served when the block begins."""
    database = Database(url, clock)
    await ensure_agents(database.writer)
    bus = await Bus.connect(broker.context("gateway"), name="gateway")
    owner, worker = [
        await PatientBus.connect(broker.context(name), name=name)
        for name in ("owner", "agent-worker")
    ]
    gateway = Gateway(database, bus, TOKEN)
    gateway.start()
    service = await serve(bus, SERVICE, "0", Handlers(gateway).all())
    house = GatewayHouse(gateway, clock, owner, worker, bus)
    await eventually(house.has_swept)
    yield house
    async with asyncio.timeout(PATIENCE_S):
        await service.stop()
    await gateway.stop()
    await database.close()
    for each in (worker, owner, bus):
        await each.close()
