"""A short run holds, and the verdict notices each breach of the promise when there is one."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chaos.__main__ import judge, main
from chaos.faults import KINDS
from chaos.figures import figures, longest_recovery
from chaos.session import Plan, hurt
from chaos.verdict import BREACHES, Run, breaches

pytestmark = pytest.mark.timeout(600)

PLAN = Plan(turns=60, seed=26)
QUESTION = "(SELECT turn_id FROM messages WHERE role = 'user' AND position = 1 ORDER BY pk LIMIT 1)"
"""The turn of the oldest first question."""
Doctor = Callable[[Path], None]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short run with a fault of each kind."""
    folder = tmp_path_factory.mktemp("chaos")
    assert asyncio.run(hurt(PLAN, folder)) == []
    return folder


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of that folder, to be doctored."""
    folder = tmp_path / "run"
    shutil.copytree(finished, folder, ignore=shutil.ignore_patterns("nats", "*.sock"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_a_short_run_keeps_the_promise(finished: Path) -> None:
    run = Run.read(finished)
    assert breaches(run) == []
    told = figures(run, [])
    assert {told[each] for each in BREACHES} == {"0"}
    assert int(told["accepted"]) >= PLAN.turns
    assert int(told["answered"]) > PLAN.turns / 2
    assert len(run.faults) >= len(KINDS)
    assert longest_recovery(run) is not None


def test_a_kept_promise_leaves_nothing_behind(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judge(copy, PLAN, []) == 0
    assert not copy.exists()


def test_a_broken_promise_is_told_with_seed_and_timeline(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = [each for each in Run.read(copy).heard if each.kind == "message_ready"]
    turn = ends[0].data["turn_id"]
    sql(f"UPDATE turns SET status = 'open' WHERE id = '{turn}'")(copy)
    assert judge(copy, PLAN, []) == 1
    told = capsys.readouterr().out
    assert copy.exists()
    for words in (f"with seed {PLAN.seed}", f"turn {turn}", "event message_ready", "fault: "):
        assert words in told


def test_who_could_not_go_on_breaks_the_promise_too(copy: Path) -> None:
    assert judge(copy, PLAN, ["a thread did not come to rest"]) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--turns", "0"], "0 is no number of turns"),
        (["--turns", "many"], "many is no number of turns"),
        (["--minutes", "-1"], "-1 is no number of minutes"),
        (["--minutes", "nan"], "nan is no number of minutes"),
    ],
)
def test_a_run_of_nothing_is_refused_in_a_sentence(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert told in capsys.readouterr().err


def sql(*statements: str) -> Doctor:
    """Change the database."""

    def doctor(folder: Path) -> None:
        with closing(sqlite3.connect(folder / "data" / "parley.db")) as connection, connection:
            changed = [connection.execute(each).rowcount for each in statements]
            assert all(changed), "nothing was doctored"

    return doctor


def forget_the_ends(folder: Path) -> None:
    """Let nobody have been told of an end, nor asked to look."""
    lines = (folder / "heard").read_text().splitlines(keepends=True)
    untold = ("message_ready", "turn_failed", "turn_cancelled", "resync")
    kept = [each for each in lines if json.loads(each)["kind"] not in untold]
    (folder / "heard").write_text("".join(kept))


def look_up_too_late(folder: Path) -> None:
    """Let nobody have been told of the first end, nor asked to look before he heard of others."""
    lines = [json.loads(each) for each in (folder / "heard").read_text().splitlines()]
    untold = next(each["data"]["turn_id"] for each in lines if each["kind"] == "message_ready")
    kept = [each for each in lines if each["kind"] != "resync"]
    kept = [each for each in kept if each["data"].get("turn_id") != untold]
    kept.append({"at": lines[-1]["at"] + 1, "kind": "resync", "data": {}})
    (folder / "heard").write_text("".join(json.dumps(each) + "\n" for each in kept))
    sql(f"UPDATE turns SET finished_at = finished_at - 60000000 WHERE id = '{untold}'")(folder)


def show_one_thread_less(folder: Path) -> None:
    """Let the API have forgotten a thread."""
    lines = (folder / "shown").read_text().splitlines(keepends=True)
    (folder / "shown").write_text("".join(lines[1:]))


def show_another_beginning(folder: Path) -> None:
    """Let the API have shown threads with a message before their first one."""
    lines = [json.loads(each) for each in (folder / "shown").read_text().splitlines()]
    more = [each | {"message_ids": ["another", *each["message_ids"]]} for each in lines]
    (folder / "shown").write_text("".join(json.dumps(each) + "\n" for each in more))


def hear_another_end(folder: Path) -> None:
    """Let a turn have ended twice."""
    lines = (folder / "heard").read_text().splitlines()
    ends = [each for each in map(json.loads, lines) if each["kind"] == "message_ready"]
    again = ends[0] | {"kind": "turn_failed"}
    (folder / "heard").write_text("\n".join([*lines, json.dumps(again)]) + "\n")


def run_again(tool: str) -> Doctor:
    """Let a tool's finished run have happened once more."""

    def doctor(folder: Path) -> None:
        lines = [json.loads(each) for each in (folder / "runs").read_text().splitlines()]
        steps = Run.read(folder).contents.steps.values()
        outputs = " ".join(each.get("output", "") for turn in steps for each in turn)
        first = next(each for each in lines if each["tool"] == tool and each["run"] in outputs)
        later = first | {"run": "again", "phase": "began", "at": first["at"] + 100}
        with (folder / "runs").open("a") as file:
            file.write(json.dumps(later) + "\n")

    return doctor


COPIED = "thread_id, position + 100, role, turn_id, client_id || '-2', digest, text, json"
COLUMNS = "id, thread_id, position, role, turn_id, client_id, digest, text, json"


@pytest.mark.parametrize(
    ("kind", "doctor"),
    [
        ("lost", sql(f"DELETE FROM messages WHERE role = 'agent' AND turn_id = {QUESTION}")),
        ("lost", sql(f"DELETE FROM messages WHERE role = 'user' AND turn_id = {QUESTION}")),
        ("lost", sql(f"UPDATE turns SET message_id = 'nobody' WHERE id = {QUESTION}")),
        ("lost", forget_the_ends),
        ("lost", look_up_too_late),
        ("lost", show_one_thread_less),
        (
            "duplicated",
            sql(
                f"INSERT INTO messages ({COLUMNS}) SELECT 'copy', {COPIED} FROM messages"
                f" WHERE role = 'agent' AND turn_id = {QUESTION}"
            ),
        ),
        (
            "duplicated",
            sql(
                f"INSERT INTO messages ({COLUMNS}) SELECT 'copy', {COPIED} FROM messages"
                f" WHERE role = 'user' AND turn_id = {QUESTION}"
            ),
        ),
        ("duplicated", hear_another_end),
        ("out of order", sql("UPDATE messages SET position = position + 1000 WHERE position = 1")),
        (
            "out of order",
            sql(
                "UPDATE messages SET position = -position",
                "UPDATE messages SET position = 2 - position WHERE position IN (-1, -2)",
                "UPDATE messages SET position = -2 - position WHERE position IN (-3, -4)",
                "UPDATE messages SET position = -position WHERE position < 0",
                "UPDATE messages SET position = position WHERE position > 0",
            ),
        ),
        ("wrong", show_another_beginning),
        ("wrong", sql(f"UPDATE messages SET text = 'x' WHERE turn_id = {QUESTION}")),
        (
            "wrong",
            sql(
                "UPDATE messages SET json = json_set(json, '$.status', 'queued')"
                f" WHERE role = 'agent' AND turn_id = {QUESTION}"
            ),
        ),
        (
            "wrong",
            sql("UPDATE messages SET text = 'x' || text WHERE role = 'agent' AND text > ''"),
        ),
        (
            "failed",
            sql(
                "UPDATE turns SET status = 'failed', error_kind = 'worker-lost'"
                " WHERE status = 'completed'"
            ),
        ),
        ("doubled", run_again("note")),
        ("doubled", run_again("look")),
        ("stuck", sql(f"UPDATE turns SET status = 'queued' WHERE id = {QUESTION}")),
        (
            "stuck",
            sql(
                "INSERT INTO outbox (message_id, kind, payload, created_at)"
                " VALUES ('m', 'message_ready', '{}', 1)"
            ),
        ),
    ],
)
def test_a_breach_is_noticed(copy: Path, kind: str, doctor: Doctor) -> None:
    doctor(copy)
    assert kind in {each.kind for each in breaches(Run.read(copy))}
