"""A thread made from a file. The body is read while it arrives and handed on page by page, so that
100,000 messages in one call neither fill the memory nor hold up anybody else."""

from __future__ import annotations

from typing import Any

import ijson  # type: ignore[import-untyped]
from fastapi import APIRouter
from parley_bus import Bus
from parley_contracts.base import new_id
from parley_contracts.errors import Invalid
from parley_contracts.operations import THREADS_DELETE, THREADS_IMPORT, THREADS_UPDATE
from parley_contracts.threads import ImportMessage, ImportThread, Thread, ThreadRef, UpdateThread
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from parley_web.api.call import Json
from parley_web.problems import BadRequest, checked, invalid
from parley_web.state import state_of

router = APIRouter(prefix="/api/threads", tags=["Export and import"])

PAGE_MESSAGES = 2_000
PAGE_CHARACTERS = 1_000_000
"""What makes a page full; the broker takes 8 MB a message, a character is up to 6 bytes of JSON."""
TIMEOUT_S = 60.0
MAX_MESSAGE = 8 * 1024 * 1024
"""Bytes of JSON that may pass until a message is complete; what fits the bus is never longer."""
MAX_DEPTH = 100
SLICE = 4096
"""Bytes between two looks at the depth: each level costs the parser what all above it have cost."""
_DEPTH = {"start_map": 1, "start_array": 1, "end_map": -1, "end_array": -1}
_ITEM = "messages.item"
_AUTHORS = frozenset({"agent_id", "agent"})
_SETTINGS = {"title", "status", *_AUTHORS}
_NO_JSON = (ijson.JSONError, UnicodeDecodeError)
"""What the parser raises; the second for a half of a character, which is no UTF-8 either."""
_SCALARS = ("string", "number", "boolean", "null")


_BODY = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "agent_id": {"type": "string"},
        "messages": {"type": "array", "items": ImportMessage.model_json_schema()},
    },
    "required": ["messages"],
}


@router.post(
    "/import",
    status_code=201,
    response_model=Thread,
    openapi_extra={"requestBody": {"content": {Json.media_type: {"schema": _BODY}}}},
)
async def import_thread(request: Request) -> Response:
    """Make a thread with history, from an export or the short form."""
    bus = state_of(request).bus
    reader, writer = ThreadReader(), ThreadWriter(bus)
    try:
        async for chunk in request.stream():
            if chunk:  # to the parser an empty one is the end
                reader.feed(chunk)
            if reader.page_is_full:
                await writer.write(reader, last=False)
        reader.close()
        return Json((await writer.write(reader, last=True)).encode(), 201)
    except BaseException:
        writer.undo()
        raise


class ThreadReader:
    """Reads title, agent and messages out of JSON that comes in pieces of any size."""

    def __init__(self) -> None:
        self._events = ijson.sendable_list()
        # With floats the C parser refuses what has more than 64 bits; without, an integer of more
        # digits than Python converts (4,300) crashes the process.
        self._parser = ijson.parse_coro(self._events, use_float=True)
        self._message = ijson.ObjectBuilder()
        self._listed = False
        self._read = 0
        self._characters = 0
        self._pending = 0
        self._depth = 0
        self._page: list[ImportMessage] = []
        self.settings: dict[str, Any] = {}

    @property
    def page_is_full(self) -> bool:
        """Whether what was read should be taken before more is fed."""
        return len(self._page) >= PAGE_MESSAGES or self._characters >= PAGE_CHARACTERS

    def feed(self, chunk: bytes) -> None:
        """Read on. Raises BadRequest when this is not JSON, Invalid when a message is wrong."""
        for start in range(0, len(chunk), SLICE):
            self._feed(chunk[start : start + SLICE])

    def _feed(self, piece: bytes) -> None:
        try:
            self._parser.send(piece)
        except _NO_JSON as error:
            raise _not_json(error) from None
        self._pending += len(piece)
        for prefix, event, value in self._events:
            self._depth += _DEPTH.get(event, 0)
            self._take(prefix, event, value)
        self._events.clear()
        if self._depth > MAX_DEPTH:
            raise BadRequest("The body is nested too deeply; a file of Parley's is not.")
        if self._pending > MAX_MESSAGE:
            field = f"messages.{self._read}"
            raise Invalid(f"“{field}” is too long; a message may have 8 MB of JSON.", field=field)

    def close(self) -> None:
        """Check that the JSON ended and held messages."""
        try:
            self._parser.close()
        except _NO_JSON as error:
            raise _not_json(error) from None
        if not self._listed:
            raise Invalid("“messages” is missing: a list of {role, text}.", field="messages")

    def take_page(self) -> tuple[ImportMessage, ...]:
        """Return the messages read since the last page."""
        page = tuple(self._page)
        self._page.clear()
        self._characters = 0
        return page

    def _take(self, prefix: str, event: str, value: Any) -> None:
        if prefix.startswith(_ITEM):
            self._take_item(prefix, event, value)
        elif (prefix, event) == ("messages", "start_array"):
            self._listed = True
        elif event in _SCALARS and prefix.removeprefix("thread.") in _SETTINGS:
            self.settings[prefix.removeprefix("thread.")] = value

    def _take_item(self, prefix: str, event: str, value: Any) -> None:
        if prefix == _ITEM and event in _SCALARS:
            field = f"messages.{self._read}"
            raise Invalid(f"“{field}” must be an object: {{role, text}}.", field=field)
        self._message.event(event, value)
        if prefix == _ITEM and event == "end_map":
            self._add(self._message.value)
            self._pending = 0
            self._message = ijson.ObjectBuilder()

    def _add(self, fields: dict[str, Any]) -> None:
        try:
            message = ImportMessage.model_validate(fields)
        except ValidationError as error:
            raise invalid(error, within=f"messages.{self._read}") from None
        self._page.append(message)
        self._read += 1
        self._characters += len(message.encode() if message.parts else message.text)


class ThreadWriter:
    """Hands pages on to the gateway, which opens the thread with the last one."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._id = new_id()
        self._begun = False
        self._written = 0
        self._settings: dict[str, Any] | None = None

    async def write(self, reader: ThreadReader, *, last: bool) -> Thread:
        """Write the page read; the first one makes the thread, as far as it is known by then."""
        settings = dict(reader.settings)
        archived = settings.pop("status", None) == "archived"
        if self._settings is None:
            self._settings = settings
        late = {name: settings[name] for name in settings if name not in self._settings}
        if author := late.keys() & _AUTHORS:
            raise _too_late(author.pop())
        page = checked(
            ImportThread,
            {
                "id": self._id,
                "offset": self._written,
                "messages": reader.take_page(),
                "last": last,
                **self._settings,
            },
        )
        self._begun = True
        thread = await self._bus.request(THREADS_IMPORT, page, timeout=TIMEOUT_S)
        self._written += len(page.messages)
        late |= {"status": "archived"} if archived else {}
        if last and late:
            thread = await self._bus.request(THREADS_UPDATE, UpdateThread(id=self._id, **late))
        return thread

    def undo(self) -> None:
        """Delete what may have been made of an import that failed, was cut off or cancelled.

        Nothing is waited for, since whoever is cancelled may not wait; of the broker's outages the
        bus takes care.
        """
        if self._begun:
            self._bus.publish_soon(THREADS_DELETE.subject, ThreadRef(id=self._id).encode())


def _too_late(field: str) -> Invalid:
    return Invalid(
        f"“{field}” comes after so many messages that they have got their author; "
        "write it before “messages”.",
        field=field,
    )


def _not_json(error: Exception) -> BadRequest:
    reason = _reason(error)
    if "overflow" in reason:
        return BadRequest("The body holds a number that is too large; a file of Parley's does not.")
    return BadRequest(f"The body is not JSON: {reason}.", kind="not-json")


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    message = error.args[0] if error.args else ""
    text = message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)
    return text.split("\n")[0].strip(" .") or "it ends too early"
