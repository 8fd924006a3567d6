"""`./parley send`: one turn from the terminal, its answer streamed to standard output.

Exit code 0: answered · 1: failed, with the reason on standard error · 2: stopped.
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
from contextlib import aclosing, suppress
from dataclasses import dataclass

from parley_bus import Bus, EventGap, Events
from parley_contracts.base import new_id
from parley_contracts.events import AnyEvent, Event
from parley_contracts.messages import SendMessage
from parley_contracts.operations import MESSAGES_SEND, THREADS_CREATE, THREADS_GET, TURNS_GET
from parley_contracts.threads import CreateThread, ReadThread
from parley_contracts.turns import TurnRef
from pydantic import TypeAdapter, ValidationError

from parley_launcher.answer import DONE, FAILED, STOPPED, Answer
from parley_launcher.client import as_owner, ask, checked, patiently, tell
from parley_launcher.environment import environment
from parley_launcher.errors import Trouble
from parley_launcher.folder import DataFolder
from parley_launcher.options import Parser

EVENT: TypeAdapter[Event] = TypeAdapter(AnyEvent)
_UNKNOWN = TypeAdapter(Event)
CODES = {"completed": DONE, "failed": FAILED, "cancelled": STOPPED}


@dataclass(frozen=True)
class Sent:
    """A message that was accepted; `after` is the event stream's last sequence before it."""

    thread_id: str
    turn_id: str
    after: int


def main(arguments: list[str]) -> int:
    """Send and wait for the answer. Raises Trouble."""
    parser = Parser("send", "Send one message and stream the answer.", environment())
    parser.data_option()
    parser.add_argument("--thread", metavar="ID", help="go on with this thread")
    parser.add_argument("--agent", metavar="NAME", help="the agent that is to answer")
    parser.add_argument("text", help="what to say; - reads standard input")
    options = parser.parse_args(arguments)
    said = sys.stdin.buffer.read() if options.text == "-" else os.fsencode(options.text)
    text = _decoded_text(said)
    if sys.stdout is None:
        raise Trouble("standard output is closed, so the answer could not be shown; open it")

    async def work(bus: Bus) -> int:
        sent = await _send(bus, text, options.thread, options.agent)
        try:
            return await _follow(bus, sent)
        except asyncio.CancelledError:
            tell(f"the answer goes on in thread {sent.thread_id}")
            raise

    return as_owner(DataFolder(options.data), work)


def _decoded_text(said: bytes) -> str:
    try:
        return said.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Trouble("the text is not UTF-8; convert it and send again") from error


async def _send(bus: Bus, text: str, thread_id: str | None, agent: str | None) -> Sent:
    after = (await patiently(Events(bus).bounds))[1]
    target = new_id() if thread_id is None else thread_id
    message = checked(SendMessage, thread_id=target, text=text, agent_id=agent, channel="terminal")
    if thread_id is None:
        await ask(bus, THREADS_CREATE, CreateThread(id=target, agent_id=agent))
        tell(f"thread {target}")
    accepted = await ask(bus, MESSAGES_SEND, message)
    return Sent(target, accepted.turn.id, after)


async def _follow(bus: Bus, sent: Sent) -> int:
    """Show the turn's events until it is over; return the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    answer = Answer(sent.turn_id, sys.stdout, sys.stderr)
    after = sent.after
    while True:
        try:
            async with aclosing(Events(bus).follow(after=after)) as records:
                async for record in records:
                    if record.thread_id == sent.thread_id and (event := _decoded(record.payload)):
                        code = answer.take(event)
                        if code is not None:
                            return code
        except EventGap:
            after = (await patiently(Events(bus).bounds))[1]
            code = await _already_over(bus, sent, answer)
            if code is not None:
                return code


def _decoded(payload: bytes) -> Event | None:
    """Return the event, one of a kind that is unknown here without its content.

    What nobody can read is left out.
    """
    for kind in (EVENT, _UNKNOWN):
        with suppress(ValidationError):
            return kind.validate_json(payload)
    return None


async def _already_over(bus: Bus, sent: Sent, answer: Answer) -> int | None:
    """After a gap: show the stored answer if the turn is over, and return the exit code."""
    turn = await ask(bus, TURNS_GET, TurnRef(id=sent.turn_id))
    if turn.status not in CODES:
        return None
    view = await ask(bus, THREADS_GET, ReadThread(id=sent.thread_id))
    said = [each.text for each in view.messages if each.turn_id == turn.id and each.role == "agent"]
    remark = turn.error.detail if turn.error else ""
    return answer.close(CODES[turn.status], "".join(said), remark)
