"""The store does what plain lists do, whatever the order of commands (rules 1, 2, 3, 8, 16, 17)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from itertools import count
from pathlib import Path
from typing import Any, TypeVar, cast

from container_postgres import ContainerPostgres
from conversation_model import Conversation, Turn
from gateway_store import Store
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as some
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from parley_contracts.messages import EditMessage, MessageRef, SendMessage, UpdateMessage
from parley_contracts.threads import ForkThread, ThreadRef
from parley_contracts.turns import CancelTurn, Claim, RetryTurn
from parley_gateway.defaults import ensure_agents
from parley_gateway.store import forks, messages, stopping, threads, turns, waiting
from parley_gateway.store.claims import LEASE_S
from parley_gateway.store.database import FILE_NAME, database_url
from sqlalchemy import URL

T = TypeVar("T")
Rule = TypeVar("Rule", bound=Callable[..., Any])
Able = Callable[[Conversation], bool]
CHOICE = some.integers(0, 10**6)


def alive(thread: Conversation) -> bool:
    return not thread.deleted


def has_queue(thread: Conversation) -> bool:
    return alive(thread) and bool(thread.queue)


def has_waiting(thread: Conversation) -> bool:
    return alive(thread) and bool(thread.waiting)


def has_history(thread: Conversation) -> bool:
    return alive(thread) and bool(thread.history)


def is_open(thread: Conversation) -> bool:
    return thread.open is not None


def is_due(thread: Conversation) -> bool:
    return thread.open is not None and thread.open.state == "due"


def is_running(thread: Conversation) -> bool:
    return thread.open is not None and thread.open.state == "running"


def is_cancelling(thread: Conversation) -> bool:
    return thread.open is not None and thread.open.state == "cancelling"


def can_retry(thread: Conversation) -> bool:
    idle = thread.open is None and not thread.queue
    failed = bool(thread.history) and thread.history[-1][2] != "complete"
    return alive(thread) and idle and thread.newest is not None and failed


def somewhere(able: Able) -> Callable[[Rule], Rule]:
    """Run a rule only while it is possible in some thread."""
    return precondition(lambda machine: any(map(able, machine.model.values())))


def fewer_threads_than(most: int) -> Callable[[Rule], Rule]:
    """Keep the threads few, so that much happens in each."""
    return precondition(lambda machine: len(machine.model) < most)


def several_alive(rule: Rule) -> Rule:
    """Delete no thread while there is little left to do elsewhere."""
    return precondition(lambda machine: sum(map(alive, machine.model.values())) > 2)(rule)


class Conversations(RuleBasedStateMachine):
    """Drives the store and the model alike and compares what each step touched."""

    def __init__(self, url: URL) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.store = self.runner.run(self.opened(url))
        self.names = (f"n{number}" for number in count())
        self.claims: dict[str, Claim] = {}
        self.model: dict[str, Conversation] = {}
        self.touched = Conversation("")
        self.new_thread()

    async def opened(self, url: URL) -> Store:
        store = Store(url)
        await ensure_agents(store.database.writer)
        return store

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def pick(self, choice: int, able: Able) -> Conversation:
        """Return one of the threads in which something is possible."""
        possible = [thread for thread in self.model.values() if able(thread)]
        self.touched = possible[choice % len(possible)]
        return self.touched

    def add(self, thread: Conversation) -> Conversation:
        self.model[thread.id] = self.touched = thread
        return thread

    @fewer_threads_than(3)
    @rule()
    def new_thread(self) -> None:
        thread = self.add(Conversation(next(self.names)))
        self.do(self.store.thread(thread.id))

    @somewhere(alive)
    @rule(choice=CHOICE, more=some.integers(0, 2))
    def send(self, choice: int, more: int) -> None:
        thread = self.pick(choice, alive)
        for number in range(1 + more):
            self.send_to(thread, choice + number)

    def send_to(self, thread: Conversation, choice: int) -> None:
        turn = Turn(next(self.names), next(self.names), f"text {choice}")
        command = SendMessage(
            thread_id=thread.id, id=turn.message_id, turn_id=turn.id, text=turn.text
        )
        self.do(self.store.run(messages.send, command))
        again = self.do(self.store.run(messages.send, command))
        assert again.repeated
        thread.send(turn)

    @somewhere(is_due)
    @rule(choice=CHOICE)
    def begin(self, choice: int) -> None:
        self.begin_in(self.pick(choice, is_due))

    def begin_in(self, thread: Conversation) -> None:
        assert thread.open
        granted = self.do(self.store.begin(thread.open.id, next(self.names)))
        self.claims[thread.open.id] = granted.claim
        thread.begin()
        seen = [(message.role, message.text) for message in granted.history]
        end = self.question_at(thread) + 1
        assert seen == [(role, text) for role, text, _ in thread.history[:end]]

    def question_at(self, thread: Conversation) -> int:
        """Return where the open turn's question stands: the last of the user's."""
        roles = [role for role, _, _ in thread.history]
        return len(roles) - 1 - roles[::-1].index("user")

    @somewhere(is_due)
    @rule(choice=CHOICE)
    def answer(self, choice: int) -> None:
        self.begin_in(thread := self.pick(choice, is_due))
        self.finish_in(thread, f"answer {choice}", failed=False)

    @somewhere(is_running)
    @rule(choice=CHOICE)
    def lose_the_worker(self, choice: int) -> None:
        thread = self.pick(choice, is_running)
        assert thread.open
        self.store.clock.advance(LEASE_S + 1)
        reply = self.do(self.store.try_begin(thread.open.id, next(self.names)))
        if reply.status == "granted":
            self.claims[thread.open.id] = reply.claim
        thread.lose()

    @somewhere(lambda thread: is_running(thread) or is_cancelling(thread))
    @rule(choice=CHOICE, failed=some.booleans())
    def finish(self, choice: int, failed: bool) -> None:
        thread = self.pick(choice, lambda each: is_running(each) or is_cancelling(each))
        self.finish_in(thread, f"answer {choice}", failed=failed)

    def finish_in(self, thread: Conversation, text: str, *, failed: bool) -> None:
        assert thread.open
        outcome = "failed" if failed else "completed"
        claim = self.claims[thread.open.id]
        first = self.do(self.store.finish(claim, text, outcome=outcome))
        assert self.do(self.store.finish(claim, text, outcome=outcome)) == first
        thread.finish(text, "failed" if failed else "complete")

    @somewhere(is_open)
    @rule(choice=CHOICE)
    def cancel(self, choice: int) -> None:
        thread = self.pick(choice, is_open)
        assert thread.open
        was_cancelling = is_cancelling(thread)
        self.do(self.store.run(stopping.cancel, CancelTurn(id=thread.open.id)))
        if not was_cancelling:
            thread.cancel()

    @somewhere(is_cancelling)
    @rule(choice=CHOICE)
    def end_what_should_have_stopped(self, choice: int) -> None:
        thread = self.pick(choice, is_cancelling)
        assert thread.open
        attempt = self.claims[thread.open.id].attempt
        work = self.store.run(stopping.close_overdue, thread.open.id, attempt, "so far", whole=True)
        self.do(work)
        thread.end("so far", "stopped")

    @somewhere(has_waiting)
    @rule(choice=CHOICE)
    def take_back(self, choice: int) -> None:
        thread = self.pick(choice, has_waiting)
        turn = thread.waiting[choice % len(thread.waiting)]
        self.do(self.store.run(waiting.remove, MessageRef(id=turn.message_id)))
        thread.take_back(turn)

    @somewhere(has_waiting)
    @rule(choice=CHOICE)
    def change(self, choice: int) -> None:
        thread = self.pick(choice, has_waiting)
        turn = thread.waiting[choice % len(thread.waiting)]
        turn.text = f"changed {choice}"
        command = UpdateMessage(id=turn.message_id, text=turn.text)
        self.do(self.store.run(waiting.change, command))

    @somewhere(has_queue)
    @rule(choice=CHOICE)
    def send_now(self, choice: int) -> None:
        thread = self.pick(choice, has_queue)
        turn = thread.queue[choice % len(thread.queue)]
        self.do(self.store.run(messages.send_now, MessageRef(id=turn.message_id)))
        thread.send_now(turn)

    @somewhere(lambda thread: alive(thread) and thread.paused)
    @rule(choice=CHOICE)
    def resume(self, choice: int) -> None:
        thread = self.pick(choice, lambda each: alive(each) and each.paused)
        self.do(self.store.run(threads.resume, ThreadRef(id=thread.id)))
        thread.paused = False
        thread.promote()

    @somewhere(can_retry)
    @rule(choice=CHOICE)
    def retry(self, choice: int) -> None:
        thread = self.pick(choice, can_retry)
        assert thread.newest
        command = RetryTurn(id=thread.newest.id, turn_id=next(self.names))
        self.do(self.store.run(turns.retry, command))
        thread.retry(command.turn_id, command.message_id)

    @fewer_threads_than(6)
    @somewhere(alive)
    @rule(choice=CHOICE)
    def fork_at_the_end(self, choice: int) -> None:
        parent = self.pick(choice, alive)
        fork = self.add(Conversation(next(self.names), list(parent.history)))
        self.do(self.store.run(forks.fork, ForkThread(thread_id=parent.id, id=fork.id)))

    @fewer_threads_than(6)
    @somewhere(has_history)
    @rule(choice=CHOICE)
    def fork_at_a_message(self, choice: int) -> None:
        parent = self.pick(choice, has_history)
        position = 1 + choice % len(parent.history)
        message = self.do(self.store.view(parent.id, limit=500)).messages[position - 1]
        fork = self.add(Conversation(next(self.names), parent.history[:position]))
        command = ForkThread(thread_id=parent.id, message_id=message.id, id=fork.id)
        self.do(self.store.run(forks.fork, command))

    @fewer_threads_than(6)
    @somewhere(has_history)
    @rule(choice=CHOICE)
    def edit(self, choice: int) -> None:
        parent = self.pick(choice, has_history)
        shown = self.do(self.store.view(parent.id, limit=500)).messages
        questions = [message for message in shown if message.role == "user"]
        message = questions[choice % len(questions)]
        assert message.position
        fork = self.add(Conversation(next(self.names), parent.history[: message.position - 1]))
        turn = Turn(next(self.names), next(self.names), f"edited {choice}")
        command = EditMessage(
            id=message.id,
            text=turn.text,
            thread_id=fork.id,
            message_id=turn.message_id,
            turn_id=turn.id,
        )
        self.do(self.store.run(forks.edit, command))
        fork.send(turn)

    @several_alive
    @rule(choice=CHOICE)
    def delete(self, choice: int) -> None:
        thread = self.pick(choice, alive)
        self.do(self.store.run(threads.delete, ThreadRef(id=thread.id)))
        thread.delete()

    @somewhere(lambda thread: thread.deleted)
    @rule(choice=CHOICE)
    def restore(self, choice: int) -> None:
        thread = self.pick(choice, lambda each: each.deleted)
        self.do(self.store.run(threads.restore, ThreadRef(id=thread.id)))
        thread.deleted = False

    @invariant()
    def what_was_touched_is_as_the_model_says(self) -> None:
        self.compare(self.touched)

    def compare(self, thread: Conversation) -> None:
        view = self.do(self.store.view(thread.id, limit=500))
        shown = [(message.role, message.text, message.status) for message in view.messages]
        assert shown == thread.history
        positions = [message.position for message in view.messages]
        assert positions == list(range(1, view.thread.head + 1))
        assert [message.id for message in view.queued] == [
            turn.message_id for turn in thread.waiting
        ]
        assert view.thread.queued == len(thread.queue)
        assert view.thread.paused == thread.paused
        assert (view.thread.status == "deleted") == thread.deleted
        assert view.thread.open_turn == (thread.open.id if thread.open else None)

    def teardown(self) -> None:
        for thread in self.model.values():
            self.compare(thread)
        self.do(self.store.database.close())
        self.runner.close()


def hold(fresh: Callable[[], URL], examples: int) -> None:
    """Run the machine, each time on an empty database."""
    machine = cast(type[RuleBasedStateMachine], lambda: Conversations(fresh()))
    run_state_machine_as_test(
        machine,
        settings=settings(
            derandomize=True,
            deadline=None,
            database=None,
            max_examples=examples,
            stateful_step_count=40,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        ),
    )


def test_sqlite_does_what_the_model_does(migrated_file: Path, tmp_path: Path) -> None:
    files = (tmp_path / str(number) for number in count())

    def fresh() -> URL:
        folder = next(files)
        folder.mkdir()
        shutil.copy(migrated_file, folder / FILE_NAME)
        return database_url(folder, None)

    hold(fresh, examples=12)


def test_postgresql_does_what_the_model_does(postgres: ContainerPostgres) -> None:
    hold(postgres.emptied, examples=3)
