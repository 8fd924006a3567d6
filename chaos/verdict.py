"""The verdict on a run, from its folder alone: what was promised and not kept.

* **lost**: an accepted message that is gone, has no turn, or whose ended turn has no answer; a turn
  whose end a listener was neither told nor asked to look up before he was told of later ones.
* **duplicated**: a second turn or message for what was sent once, a second answer or end of a turn.
* **out of order**: positions with a gap, an answer that does not follow its question, questions in
  another order than they were accepted in.
* **wrong**: an answer that is not the one to its question, a wish that was granted and not met, a
  thread that the API shows otherwise than it is stored.
* **failed**: a turn that failed though its message did not ask for it. A turn that lost three
  workers fails by rule, so the faults spare workers while a turn has lost one.
* **doubled**: a call that must not be repeated and ran twice; any call that ran again after the run
  whose result is recorded.
* **stuck**: what has not ended long after the last fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from parley_gateway.store.database import database_url

from chaos import database, records
from chaos.database import Contents, Message, Turn
from chaos.records import Fault, Heard, Sent, Shown, ToolLine

CLOSING = ("message_ready", "turn_failed", "turn_cancelled")
MARKS = {"completed": "complete", "failed": "failed", "cancelled": "stopped"}
"""How the answer of a turn is marked."""
LATE_S = 30.0
"""So much later another gateway still tells of what one that died has left behind."""
BREACHES = ("lost", "duplicated", "out of order", "wrong", "failed", "doubled", "stuck")


@dataclass(frozen=True)
class Breach:
    """A promise that was not kept, and the turn that it was given for, if it is one's."""

    kind: str
    what: str
    turn_id: str | None = None


@dataclass(frozen=True)
class Run:
    """What is known of a run."""

    sent: list[Sent]
    contents: Contents
    tools: list[ToolLine]
    heard: list[Heard]
    shown: list[Shown]
    faults: list[Fault]

    @classmethod
    def read(cls, folder: Path) -> Run:
        """Read it from its folder."""
        return cls(
            sent=records.read_sent(folder / "sent"),
            contents=database.read(database_url(folder / "data", None)),
            tools=records.read(folder / "runs", ToolLine),
            heard=records.read(folder / "heard", Heard),
            shown=records.read(folder / "shown", Shown),
            faults=records.read(folder / "faults", Fault),
        )


def breaches(run: Run) -> list[Breach]:
    """Return every breach of the promise."""
    checks = (_fates, _unknown, _order, _shown, _doubled, _stuck, _announced)
    return [each for check in checks for each in check(run)]


def _fates(run: Run) -> Iterator[Breach]:
    """Hold each accepted message against what became of it."""
    messages = {each.id: each for each in run.contents.messages}
    turns = _by(run.contents.turns, "message_id")
    replies = _by((each for each in run.contents.messages if each.role == "agent"), "turn_id")
    for sent in run.sent:
        own = turns.get(sent.message_id, [])
        if not own:
            yield Breach("lost", f"{sent.marker} has no turn", sent.turn_id)
            continue
        if len(own) > 1 or own[0].id != sent.turn_id:
            yield Breach("duplicated", f"{sent.marker} has {len(own)} turns", sent.turn_id)
        turn = own[0]
        if turn.finished:
            question, answers = messages.get(sent.message_id), replies.get(turn.id, [])
            yield from _ending(sent, turn, question, answers)


def _ending(
    sent: Sent, turn: Turn, question: Message | None, answers: list[Message]
) -> Iterator[Breach]:
    """Judge one ended turn."""

    def breach(kind: str, what: str) -> Breach:
        return Breach(kind, f"{sent.marker} {what}", turn.id)

    if len(answers) > 1:
        yield breach("duplicated", f"has {len(answers)} answers")
    taken_back = turn.status == "cancelled" and question is None and not answers
    if sent.removed:
        if not taken_back:
            yield breach("wrong", "was taken back and is there")
    elif taken_back and sent.stopped:
        return
    elif question is None or not answers:
        yield breach("lost", "has no answer" if question else "is gone")
    else:
        yield from _answer(sent, turn, question, answers[0], breach)


def _answer(
    sent: Sent, turn: Turn, question: Message, answer: Message, breach: Any
) -> Iterator[Breach]:
    said = {each.text: each for each in sent.wordings}
    if question.text not in said:
        yield breach("wrong", f"is stored as “{question.text}”")
        return
    wording = said[question.text]
    if (turn.status == "cancelled") != bool(sent.stopped):
        yield breach("wrong", f"is {turn.status}; stopped: {sent.stopped}")
    elif turn.status == "failed" and turn.error_kind != wording.fails:
        yield breach("failed", f"failed ({turn.error_kind})")
    elif turn.status == "completed" and wording.fails:
        yield breach("wrong", "was to fail and was answered")
    elif answer.body["status"] != MARKS[turn.status]:
        yield breach("wrong", f"is {turn.status} and marked as {answer.body['status']}")
    elif turn.status == "cancelled" and not _begins(wording.answer, answer.text):
        yield breach("wrong", f"was stopped at “{answer.text}”")
    elif turn.status != "cancelled" and not re.fullmatch(wording.answer, answer.text, re.DOTALL):
        yield breach("wrong", f"is answered “{answer.text}”")


def _begins(pattern: str, text: str) -> bool:
    """Whether the text is the beginning of what the pattern, of words alone, stands for."""
    return re.sub(r"\\(.)", r"\1", pattern).startswith(text)


def _unknown(run: Run) -> Iterator[Breach]:
    """Look for messages that nobody sent and answers of no turn."""
    known = {each.message_id for each in run.sent}
    turns = {each.turn_id for each in run.sent}
    for message in run.contents.messages:
        if message.role == "user" and message.id not in known:
            yield Breach("duplicated", f"nobody sent “{message.text}”", message.turn_id)
        if message.role == "agent" and message.turn_id not in turns:
            yield Breach("duplicated", f"nobody asked for “{message.text}”", message.turn_id)


def _order(run: Run) -> Iterator[Breach]:
    accepted = {each.message_id: number for number, each in enumerate(run.sent)}
    placed = (each for each in run.contents.messages if each.position is not None)
    threads = _by(placed, "thread_id")
    for thread, (fork, head) in run.contents.heads.items():
        messages = sorted(threads.get(thread, []), key=lambda each: each.position or 0)
        positions = [each.position for each in messages]
        if positions != list(range(fork + 1, head + 1)):
            yield Breach("out of order", f"{thread} has positions {positions} after {fork}")
            continue
        yield from _pairs(messages)
        asked = [accepted.get(each.id, -1) for each in messages if each.role == "user"]
        for message, before, after in zip(messages[2::2], asked, asked[1:], strict=False):
            if after < before:
                yield Breach("out of order", f"“{message.text}” came early", message.turn_id)


def _pairs(messages: list[Message]) -> Iterator[Breach]:
    """Each question is followed by its answer."""
    for question, answer in zip(messages[::2], messages[1::2], strict=False):
        roles = question.role, answer.role
        if roles != ("user", "agent") or question.turn_id != answer.turn_id:
            what = f"“{answer.text}” stands behind “{question.text}”"
            yield Breach("out of order", what, question.turn_id)


def _shown(run: Run) -> Iterator[Breach]:
    """The API shows each thread whole, its own messages as they are stored."""
    for thread in {each.thread_id for each in run.sent} - {each.thread_id for each in run.shown}:
        yield Breach("lost", f"{thread} is not shown")
    placed = (each for each in run.contents.messages if each.position is not None)
    stored = _by(placed, "thread_id")
    for shown in run.shown:
        own = sorted(stored.get(shown.thread_id, []), key=lambda each: each.position or 0)
        ids = [each.id for each in own]
        if shown.message_ids[len(shown.message_ids) - len(ids) :] != ids:
            yield Breach("wrong", f"{shown.thread_id} is shown with other messages than it has")
        elif len(shown.message_ids) != run.contents.heads[shown.thread_id][1]:
            yield Breach("wrong", f"{shown.thread_id} is not shown from its beginning")


def _doubled(run: Run) -> Iterator[Breach]:
    turns = {each.marker: each.turn_id for each in run.sent}
    recorded = _recorded_runs(run.contents)
    for key, lines in _by(run.tools, "key").items():
        began = [each for each in lines if each.phase == "began"]
        turn = turns.get(key.rpartition("-")[0])
        if began[0].tool == "note" and len(began) > 1:
            yield Breach("doubled", f"note {key} ran {len(began)} times", turn)
        ended = [each.at for each in lines if each.phase == "ended" and each.run in recorded]
        again = [each for each in began if ended and each.at > min(ended)]
        if again and began[0].tool != "note":
            yield Breach("doubled", f"{began[0].tool} {key} ran again after its result", turn)


def _recorded_runs(contents: Contents) -> set[str]:
    results = (each for steps in contents.steps.values() for each in steps)
    outputs = (each["output"] for each in results if each["kind"] == "result")
    return {output.rpartition(" ")[2] for output in outputs}


def _stuck(run: Run) -> Iterator[Breach]:
    for turn in run.contents.turns:
        if not turn.finished:
            yield Breach("stuck", f"a turn is {turn.status}", turn.id)
    if run.contents.outbox:
        yield Breach("stuck", f"{run.contents.outbox} events are not published")


def _announced(run: Run) -> Iterator[Breach]:
    """Each end was told once, or the listener was asked to look for itself."""
    finished = {each.id: each.finished_at or 0.0 for each in run.contents.turns}
    ends = _by((each for each in run.heard if each.kind in CLOSING), "turn")
    for turn in run.contents.turns:
        told = {(each.kind, each.data["attempt"]) for each in ends.get(turn.id, [])}
        if len(told) > 1:
            yield Breach("duplicated", f"ended as {sorted(told)}", turn.id)
        if turn.finished and not told and not _looked_up(run.heard, finished, finished[turn.id]):
            yield Breach("lost", "nobody was told of the end", turn.id)


def _looked_up(heard: list[Heard], finished: dict[str, float], at: float) -> bool:
    """Whether the listener was asked to look after this moment, before he heard of later ends.

    What he heard later shows that the stream went on without the end that he was not told of.
    """
    for each in heard:
        if each.kind == "resync" and each.at >= at:
            return True
        if each.kind in CLOSING and finished.get(each.data["turn_id"], 0.0) > at + LATE_S:
            return False
    return False


def _by(items: Iterable[Any], name: str) -> dict[str, list[Any]]:
    """Return the items by this attribute of theirs."""

    def key(item: Any) -> str:
        return str(item.data["turn_id"] if isinstance(item, Heard) else getattr(item, name))

    return {value: list(group) for value, group in groupby(sorted(items, key=key), key)}
