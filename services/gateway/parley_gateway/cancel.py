"""Ends turns whose worker did not end them after Stop, with what they are known to have said."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from parley_bus import EventRecord, Events
from parley_contracts.errors import ParleyError
from parley_contracts.events import TextDelta, TurnRestarted, TurnStarted
from pydantic import ValidationError

from parley_gateway.store.database import Database
from parley_gateway.store.dispatching import OVERDUE
from parley_gateway.store.stopping import GRACE_US, close_overdue

log = logging.getLogger(__name__)

_SPOKEN: dict[str, type[TurnStarted | TurnRestarted | TextDelta]] = {
    "turn_started": TurnStarted,
    "turn_restarted": TurnRestarted,
    "text_delta": TextDelta,
}


async def close_all_overdue(database: Database, events: Events) -> None:
    """End every turn that should have stopped by now; what cannot be ended comes again."""
    async with database.reading() as connection:
        before = database.writer.clock() - GRACE_US
        overdue = (await connection.execute(OVERDUE.clause, {"before": before})).all()
    for turn_id, thread_id, attempt in overdue:
        try:
            said = Said(turn_id, attempt)
            async for page in events.pages(thread_id=thread_id):
                said.take(page)
            await database.writer.run(close_overdue, turn_id, attempt, said.text, whole=said.whole)
        except ParleyError as error:
            log.warning("turn %s is still to be stopped: %s", turn_id, error.detail)


class Said:
    """An attempt's text as the event stream has it; not `whole` when events are missing."""

    def __init__(self, turn_id: str, attempt: int) -> None:
        self._of = (turn_id, attempt)
        self._pieces: list[str] = []
        self._length = 0
        self.whole = False

    @property
    def text(self) -> str:
        """What was said so far."""
        return "".join(self._pieces)

    def take(self, records: Iterable[EventRecord]) -> None:
        """Go on with the next events of the thread."""
        for record in records:
            if record.kind in _SPOKEN:
                self._read(_SPOKEN[record.kind], record.payload)

    def _read(self, kind: type[TurnStarted | TurnRestarted | TextDelta], payload: bytes) -> None:
        try:
            self._hear(kind.model_validate_json(payload))
        except ValidationError:  # a turn must end whatever lies in the stream
            self.whole = False

    def _hear(self, event: TurnStarted | TurnRestarted | TextDelta) -> None:
        if (event.turn_id, event.attempt) != self._of:
            return
        if isinstance(event, TurnStarted | TurnRestarted):
            self._pieces, self._length, self.whole = [], 0, True
            self._add(getattr(event, "text", ""))
        elif event.offset == self._length:
            self._add(event.text)
        else:
            self.whole = False

    def _add(self, text: str) -> None:
        self._pieces.append(text)
        self._length += len(text)
