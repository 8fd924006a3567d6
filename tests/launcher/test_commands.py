"""`send`, `status` and `events` on a running house."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from house import LIMIT_S, House

CALCULATION = 'it is [[tool calculator {"expression": "6*7"}]]'
SLOWLY = "[[slow 600]] one two three"


def thread_of(stderr: str) -> str:
    return stderr.split()[1]


def stop(house: House, thread: str) -> None:
    """Stop the answer that is being written in a thread."""
    headers = {"Authorization": f"Bearer {house.token}"}
    with httpx2.Client(base_url=house.url, headers=headers, timeout=LIMIT_S) as api:
        turn = api.get(f"/api/threads/{thread}").json()["thread"]["open_turn"]
        assert api.post(f"/api/turns/{turn}/cancel").status_code == 200


def test_an_answer_goes_to_standard_output_and_nothing_else_does(house: House) -> None:
    found = house.parley("send", "--agent", "echo", CALCULATION)
    assert (found.returncode, found.stdout) == (0, "it is 42\n")
    assert found.stderr.splitlines() == [f"thread {thread_of(found.stderr)}"]


def test_an_answer_is_streamed_and_a_stopped_one_ends_with_exit_code_2(house: House) -> None:
    sending = house.following("send", "--agent", "echo", SLOWLY)
    assert sending.stdout
    assert sending.stderr
    thread = thread_of(sending.stderr.readline())
    assert sending.stdout.read(3) == "one"
    stop(house, thread)
    rest, _ = sending.communicate()
    assert (rest.strip(), sending.returncode) == ("", 2)


def test_a_thread_is_gone_on_with(house: House) -> None:
    thread = thread_of(house.parley("send", "--agent", "echo", CALCULATION).stderr)
    found = house.parley("send", "--thread", thread, CALCULATION)
    assert (found.returncode, found.stdout, found.stderr) == (0, "it is 42\n", "")


@pytest.mark.parametrize(
    "text",
    [
        "[[think x]]\tfünf 🧩 \u202eمرحبا\u202c \x1b[1m\n\n  end",
        "[[think x]]" + f"{'long' * 24} \n" * 1000,
    ],
    ids=["all kinds of characters", "98 kB"],
)
def test_text_from_standard_input_survives_as_it_was_written(house: House, text: str) -> None:
    found = house.parley("send", "--agent", "echo", "-", text=text)
    assert (found.returncode, found.stdout) == (0, text.removeprefix("[[think x]]").strip() + "\n")


def test_a_failed_turn_ends_with_its_reason_and_exit_code_1(house: House) -> None:
    found = house.parley("send", "--agent", "echo", "[[fail rate-limit]] hello")
    assert found.returncode == 1
    assert len(found.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--thread", "nowhere", "hello"), "thread"),
        (("--thread", "no/where", "hello"), "“thread_id” may hold letters"),
        (("--agent", "nobody", "hello"), "agent"),
        (("  ",), "the text is empty; write something and send again"),
        (("x" * 100_001,), "the text has 100,001 characters"),
    ],
)
def test_what_cannot_be_sent_is_told_in_one_sentence(
    house: House, arguments: tuple[str, ...], sentence: str
) -> None:
    found = house.parley("send", *arguments)
    assert (found.returncode, found.stdout) == (1, "")
    [line] = found.stderr.splitlines()
    assert line.startswith("parley: ")
    assert sentence in line


def test_input_that_is_not_text_is_told(house: House) -> None:
    for arguments in (("-",), ("\udcff",)):
        found = house.parley("send", *arguments, text="\udcff")
        assert found.stderr == "parley: the text is not UTF-8; convert it and send again.\n"


def test_an_answer_ends_quietly_when_nobody_reads_any_more(house: House) -> None:
    sending = house.following("send", "--agent", "echo", f"[[slow 0.01]] {'word ' * 300}")
    assert sending.stdout
    assert sending.stderr
    assert sending.stdout.read(4) == "word"
    sending.stdout.close()
    assert sending.wait() == 0
    assert len(sending.stderr.read().splitlines()) == 1, "the thread's line"


def test_an_answer_that_cannot_be_written_is_told_in_one_sentence(house: House) -> None:
    with Path("/dev/full").open("w") as full:
        found = house.parley("send", "--agent", "echo", "hello", into=full)
    assert found.returncode == 1
    assert "cannot be written: No space left on device" in found.stderr.splitlines()[-1]


def test_who_leaves_is_told_that_the_answer_goes_on(house: House) -> None:
    sending = house.following("send", "--agent", "echo", SLOWLY)
    assert sending.stdout
    assert sending.stdout.read(3) == "one"
    sending.send_signal(signal.SIGINT)
    _, told = sending.communicate()
    thread = thread_of(told)
    assert sending.returncode == 130
    assert told.splitlines()[-1] == f"the answer goes on in thread {thread}"
    stop(house, thread)


def test_who_waits_for_an_answer_is_told_when_parley_stops(
    make_house: Callable[..., House],
) -> None:
    house = make_house().start()
    sending = house.following("send", "--agent", "echo", SLOWLY)
    assert sending.stdout
    assert sending.stdout.read(3) == "one"
    house.kill()
    _, told = sending.communicate()
    assert sending.returncode == 1
    assert "Parley has stopped; what it accepted goes on" in told.splitlines()[-1]


def test_a_message_waits_for_a_gateway_that_is_away(mortal_house: House) -> None:
    os.kill(mortal_house.pid("gateway"), signal.SIGKILL)
    found = mortal_house.parley("send", "--agent", "echo", CALCULATION)
    assert (found.returncode, found.stdout) == (0, "it is 42\n")


@pytest.mark.parametrize("command", [("send", "hello"), ("status",), ("events",)])
def test_without_a_running_house_one_sentence_says_how_to_start_it(
    make_house: Callable[..., House], command: tuple[str, ...]
) -> None:
    found = make_house().parley(*command)
    assert found.returncode == 1
    assert "Parley does not run on the data folder" in found.stderr
    assert "'./parley up' starts it" in found.stderr


def test_status_shows_services_workers_turns_and_streams(house: House) -> None:
    found = house.parley("status")
    assert found.returncode == 0
    shown = ("gateway", f"pid {house.pid('web')}", " running", "PARLEY_TURNS", "sqlite, ok")
    for words in (*shown, "no model is connected, so the built-in echo:demo answers"):
        assert words in found.stdout


def test_status_is_json_for_programs(house: House) -> None:
    status = json.loads(house.parley("status", "--json").stdout)
    assert status["services"] == house.run_file["services"]
    assert status["gateway"]["database"]["ok"] is True
    assert {each["name"] for each in status["streams"]} >= {"PARLEY_TURNS", "PARLEY_EVENTS"}


def test_status_without_a_gateway_says_so(mortal_house: House) -> None:
    gateway = mortal_house.pid("gateway")
    os.kill(gateway, signal.SIGSTOP)
    found = mortal_house.parley("status")
    os.kill(gateway, signal.SIGCONT)
    assert found.returncode == 1
    assert "gateway: Nobody answered" in found.stdout


def test_every_event_of_a_turn_is_a_line_of_json(house: House) -> None:
    thread = thread_of(house.parley("send", "--agent", "echo", CALCULATION).stderr)
    following = house.following("events", thread)
    assert following.stdout
    assert following.stderr
    assert "following" in following.stderr.readline()
    house.parley("send", "--agent", "echo", CALCULATION)
    house.parley("send", "--thread", thread, f"[[think hm]] {CALCULATION}")
    kinds = []
    for line in following.stdout:
        event = json.loads(line)
        assert event["thread_id"] == thread
        kinds.append(event["kind"])
        if event["kind"] == "message_ready":
            break
    following.send_signal(signal.SIGINT)
    assert following.wait() == 0
    wanted = ["message_accepted", "turn_started", "reasoning_delta", "tool_started"]
    wanted += ["tool_finished", "text_delta", "message_ready"]
    assert [each for each in dict.fromkeys(kinds) if each != "thread_changed"] == wanted


def test_following_ends_quietly_when_nobody_reads_any_more(house: House, tmp_path: Path) -> None:
    following = house.following("events")
    assert following.stdout
    assert following.stderr
    assert "following" in following.stderr.readline()
    following.stdout.close()
    house.parley("send", "--agent", "echo", CALCULATION)
    assert following.wait() == 0


def test_following_an_unknown_thread_is_told(house: House) -> None:
    found = house.parley("events", "nowhere")
    assert found.returncode == 1
    assert len(found.stderr.splitlines()) == 1
