"""What reaches a worker: a turn in its slot, and the owner's wish to stop one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from parley_bus import Bus, Events, Slot
from parley_bus.failpoints import failpoint
from parley_contracts.base import new_id
from parley_contracts.errors import ParleyError
from parley_contracts.letters import KeepLetter
from parley_contracts.messages import HistoryMessage
from parley_contracts.operations import (
    LETTERS_KEEP,
    TURNS_BEGIN,
    TURNS_FINISH,
    TURNS_HISTORY,
    TURNS_RELEASE,
)
from parley_contracts.subjects import TURNS
from parley_contracts.turns import (
    BeginTurn,
    ReadHistory,
    ReleaseTurn,
    TurnBusy,
    TurnGranted,
    TurnOver,
    TurnSlot,
)
from pydantic import ValidationError

from parley_agent_worker.claims import Claims, Hold, boot_time
from parley_agent_worker.emitter import Emitter
from parley_agent_worker.gateway import ClaimLost, ask, ask_under_claim
from parley_agent_worker.journal import Journal
from parley_agent_worker.missing import what_is_missing
from parley_agent_worker.models.providers import Providers
from parley_agent_worker.skills import SkillLibrary
from parley_agent_worker.titles import name_thread
from parley_agent_worker.tools.skills import skill_tools
from parley_agent_worker.tools.tool import Tool
from parley_agent_worker.tools.toolbox import Toolbox
from parley_agent_worker.turn import Equipment, TurnRun

RELEASE_S = 2.0
"""How long an orderly stop waits for the gateway to take a turn back."""
_FAULT = "A fault of the worker ended this turn; try again, and look into its log if it comes back."
_UNSTORABLE = "The answer could not be stored: {}"

log = logging.getLogger(__name__)


@dataclass
class Handlers:
    """The handlers with all that they share."""

    bus: Bus
    worker_id: str
    claims: Claims
    providers: Providers
    library: SkillLibrary
    tools: Mapping[str, Tool]
    _background: set[asyncio.Task[None]] = field(default_factory=set)

    async def answer(self, slot: Slot) -> float | None:
        """Claim the turn in a slot and run it; return when it is to come again, if it is."""
        try:
            due = TurnSlot.model_validate_json(slot.payload)
        except ValidationError:
            await self._keep(slot)
            return None
        asked_at = boot_time()
        begin = BeginTurn(
            turn_id=due.turn_id,
            dispatch_no=due.dispatch_no,
            claim=new_id(),
            worker_id=self.worker_id,
        )
        failpoint("begin.before")
        reply = await ask(self.bus, TURNS_BEGIN, begin)
        failpoint("begin.after")
        if isinstance(reply, TurnBusy):
            return reply.retry_s
        if isinstance(reply, TurnOver):
            log.info("turn %s needs no work: %s", due.turn_id, reply.reason)
            return None
        with self.claims.holding(reply, asked_at) as hold:
            await self._attempt(reply, slot.sequence, hold)
        return None

    async def cancel(self, subject: str, payload: bytes) -> None:
        """Stop a turn, if it runs here."""
        self.claims.cancel(subject.rsplit(".", 1)[-1])

    async def close(self) -> None:
        """Give up what goes on in the background."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    async def _keep(self, slot: Slot) -> None:
        """Have the gateway keep what nobody can read; what is due there is dispatched anew."""
        log.error("the slot of thread %s holds no turn: %r", slot.key, slot.payload[:200])
        letter = KeepLetter.of(TURNS, slot.key, slot.sequence, slot.payload)
        await ask(self.bus, LETTERS_KEEP, letter)

    async def _attempt(self, granted: TurnGranted, slot_sequence: int, hold: Hold) -> None:
        journal = Journal(self.bus, granted.claim)
        try:
            run = self._run(granted, journal, hold)
            await _work(run, hold)
            failpoint("finish.before")
            await self._finish(run, slot_sequence)
            failpoint("finish.after")
            self._name(granted, run)
        except ClaimLost as loss:
            log.info("turn %s is no longer ours: %s", granted.turn.id, loss)
        except asyncio.CancelledError:
            await self._release(journal, ReleaseTurn(claim=hold.claim, slot_sequence=slot_sequence))
            raise
        finally:
            await journal.close()

    def _run(self, granted: TurnGranted, journal: Journal, hold: Hold) -> TurnRun:
        """Return the attempt; one that cannot be equipped has failed before it begins."""
        bare = self._bare(granted, journal, hold)
        try:
            return TurnRun(granted, self._equipped(bare, granted))
        except Exception:
            log.exception("turn %s cannot begin", granted.turn.id)
            run = TurnRun(granted, bare)
            run.fail("internal", _FAULT)
            return run

    def _equipped(self, bare: Equipment, granted: TurnGranted) -> Equipment:
        """Return the equipment with what the agent has."""
        agent = granted.agent
        skills = self.library.enabled(agent.skills)
        tools = [self.tools[name] for name in agent.tools if name in self.tools]
        if skills:
            tools += skill_tools()
        return replace(
            bare,
            toolbox=Toolbox(tools, agent.policies),
            skills=skills,
            notes=what_is_missing(granted.message.text, agent, self.library, self.tools),
        )

    def _bare(self, granted: TurnGranted, journal: Journal, hold: Hold) -> Equipment:
        """Return the equipment of an attempt without skills and tools."""

        async def history() -> list[HistoryMessage]:
            return await self._history(granted)

        async def confirm() -> None:
            await self.claims.confirm(hold)

        return Equipment(
            providers=self.providers,
            toolbox=Toolbox((), {}),
            skills=(),
            emitter=Emitter(Events(self.bus).publish_soon, granted),
            journal=journal,
            history=history,
            confirm=confirm,
        )

    async def _history(self, granted: TurnGranted) -> list[HistoryMessage]:
        """Return the whole history up to the question; read the pages that did not come along."""
        pages = [granted.history]
        before = granted.history_before
        while before is not None:
            request = ReadHistory(claim=granted.claim, before=before)
            page = await ask_under_claim(self.bus, TURNS_HISTORY, request)
            pages.append(page.messages)
            before = page.before
        return [message for page in reversed(pages) for message in page]

    async def _finish(self, run: TurnRun, slot_sequence: int) -> None:
        """Store what the turn came to; when that is refused for what it holds, store the reason."""
        request = run.finish(slot_sequence)
        try:
            await ask_under_claim(self.bus, TURNS_FINISH, request)
        except ParleyError as refusal:
            log.error("turn %s cannot be stored: %s", request.claim.turn_id, refusal.detail)
            run.fail("unstorable", _UNSTORABLE.format(refusal.detail))
            bare = {"text": "", "parts": (), "step": None, "usage": None, "notes": ()}
            request = run.finish(slot_sequence).model_copy(update=bare)
            await ask_under_claim(self.bus, TURNS_FINISH, request)

    async def _release(self, journal: Journal, request: ReleaseTurn) -> None:
        """Give the turn back with its steps recorded, so that another worker goes on at once."""
        try:
            async with asyncio.timeout(RELEASE_S):
                await journal.settled()
                failpoint("release.before")
                await self.bus.request(TURNS_RELEASE, request)
                failpoint("release.after")
        except (ParleyError, ClaimLost, TimeoutError) as error:
            log.warning("turn %s goes on when its lease ends: %s", request.claim.turn_id, error)

    def _name(self, granted: TurnGranted, run: TurnRun) -> None:
        """Find a title for a thread that has none, while the owner reads the answer."""
        choice = run.choice
        if granted.untitled and run.completed and choice and not choice.is_echo:
            thread_id = granted.turn.thread_id
            self._spawn(name_thread(self.bus, thread_id, choice, run.request(choice)))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


async def _work(run: TurnRun, hold: Hold) -> None:
    """Run the attempt in a task of its own, which can be stopped from outside.

    Raises ClaimLost, and CancelledError when it is this worker that stops: work that is cancelled
    and that nobody has stopped has failed.
    """
    hold.work = asyncio.create_task(run.run())
    try:
        await hold.work
    except asyncio.CancelledError:
        if hold.ended == "lost":
            raise ClaimLost("another worker has taken it over") from None
        if hold.ended:
            run.stop()
        elif _is_being_cancelled():
            raise
        else:
            log.exception("turn %s was cancelled by nobody", hold.claim.turn_id)
            run.fail("internal", _FAULT)
    except ClaimLost:
        raise
    except Exception:
        log.exception("turn %s failed", hold.claim.turn_id)
        run.fail("internal", _FAULT)


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
