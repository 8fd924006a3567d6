"""Programs are kept running, stopped in order, and die with the launcher."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import signal
import sys
import textwrap
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from eventually import PATIENCE_S, eventually
from parley_launcher import process as process_module
from parley_launcher.errors import Trouble
from parley_launcher.house import Program
from parley_launcher.process import Process
from parley_launcher.supervisor import Supervisor

SLEEP = "import signal; signal.pause()"
DIE = "import os; os.kill(os.getpid(), 9)"


def program(
    code: str, *, service: str = "sleeper", grace: float = 30.0, copies: int = 1
) -> Program:
    command = (sys.executable, "-c", textwrap.dedent(code))
    return Program(service, command, {}, grace, copies=copies)


class Watched:
    """A process under test, and the pids of its starts as they come."""

    def __init__(self, program: Program, logs: Path) -> None:
        self.starts: asyncio.Queue[int] = asyncio.Queue()
        self.process = Process(program, program.service, logs, self._changed)
        self.running = asyncio.create_task(self.process.run())

    def _changed(self) -> None:
        if self.process.pid:
            self.starts.put_nowait(self.process.pid)

    async def stop(self) -> None:
        await self.process.stop()
        await self.running


class Signpost:
    """A pipe by name through which programs say that they have come so far."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "signpost"
        os.mkfifo(self.path)
        self._heard = b""
        self._end = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)

    def say(self, words: str) -> str:
        """Return the code by which a program says the words."""
        return self.tell(repr(words))

    def tell(self, what: str) -> str:
        """Return the code by which a program says what an expression comes to."""
        return f"open({str(self.path)!r}, 'w').write(str({what}) + chr(10))"

    async def hear(self, lines: int = 1) -> list[str]:
        """Return the next lines, once they were said."""

        async def said() -> bool:
            with suppress(BlockingIOError):
                self._heard += os.read(self._end, 4096)
            return self._heard.count(b"\n") >= lines

        await eventually(said)
        *heard, self._heard = self._heard.split(b"\n", lines)
        return [each.decode() for each in heard]


async def test_a_killed_program_is_started_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    watched = Watched(program(SLEEP), tmp_path)
    first = await watched.starts.get()
    os.kill(first, signal.SIGKILL)
    assert await watched.starts.get() != first
    assert "sleeper  ended (SIGKILL); starting it again in 0.25 s" in capfd.readouterr().err
    await watched.stop()


async def test_pauses_grow_up_to_the_longest(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(process_module, "LONGEST_PAUSE_S", 0.003)
    watched = Watched(program(DIE), tmp_path)
    for _ in range(5):
        await watched.starts.get()
    await watched.stop()
    pauses = [line.rsplit(" ", 2)[1] for line in capfd.readouterr().err.splitlines()]
    assert pauses[:4] == ["0.001", "0.002", "0.003", "0.003"]


async def test_a_program_that_refuses_to_start_is_not_tried_again(tmp_path: Path) -> None:
    refusing = """
        import sys
        print("2026-01-01T00:00:00 CRITICAL gateway - The data folder is of a newer version.")
        sys.exit(1)
    """
    watched = Watched(program(refusing, service="gateway"), tmp_path)
    with pytest.raises(Trouble, match=r"^gateway cannot start: The data folder is of a newer"):
        await watched.running


async def test_a_program_that_ended_orderly_is_started_again(tmp_path: Path) -> None:
    watched = Watched(program("pass"), tmp_path)
    await watched.starts.get()
    await watched.starts.get()
    await watched.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows who belongs together")
async def test_what_it_left_behind_ends_with_it(tmp_path: Path) -> None:
    signpost = Signpost(tmp_path)
    leaving = f"""
        import os, signal
        if os.fork() == 0:
            os.setpgid(0, 0)
            {signpost.tell("os.getpid()")}
        signal.pause()
    """
    watched = Watched(program(leaving), tmp_path)
    (left,) = await signpost.hear()
    ending = os.pidfd_open(int(left))
    os.kill(await watched.starts.get(), signal.SIGKILL)
    ended, _, _ = await asyncio.to_thread(select.select, [ending], [], [], PATIENCE_S)
    assert ended, "the child outlived its parent"
    os.close(ending)
    await watched.stop()


class Crowded:
    """A machine that lets no further process be made whenever it is told so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *refused: int) -> None:
        self._refused = refused
        self._attempts = 0
        self._make = asyncio.create_subprocess_exec
        monkeypatch.setattr(asyncio, "create_subprocess_exec", self._attempt)

    async def _attempt(self, *command: str, **how: Any) -> asyncio.subprocess.Process:
        self._attempts += 1
        if self._attempts in self._refused:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return await self._make(*command, **how)


async def test_a_restart_that_the_machine_refuses_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(process_module, "FIRST_PAUSE_S", 0.001)
    Crowded(monkeypatch, 2)
    watched = Watched(program(SLEEP), tmp_path)
    os.kill(await watched.starts.get(), signal.SIGKILL)
    again = asyncio.create_task(watched.starts.get())
    await asyncio.wait((again, watched.running), return_when=asyncio.FIRST_COMPLETED)
    assert again.done(), "nobody tries again"
    assert "sleeper  ended (Resource temporarily unavailable)" in capfd.readouterr().err
    await watched.stop()


async def test_a_first_start_that_the_machine_refuses_is_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Crowded(monkeypatch, 1)
    with pytest.raises(Trouble, match=r"^sleeper cannot start: Resource temporarily unavail"):
        await Watched(program(SLEEP), tmp_path).running


async def test_a_dead_process_has_no_pid_in_the_record(tmp_path: Path) -> None:
    records: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    supervisor = Supervisor([program(SLEEP)], tmp_path, records.put_nowait)
    supervisor.start()
    first = (await records.get())["sleeper"]["pid"]
    os.kill(first, signal.SIGKILL)
    assert (await records.get())["sleeper"]["pid"] is None
    assert (await records.get())["sleeper"]["pid"] not in (None, first)
    await supervisor.stop()


async def test_what_it_left_behind_does_not_hinder_its_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "LAST_WORDS_S", 0.01)
    signpost = Signpost(tmp_path)
    leaving = f"""
        import os, signal
        from pathlib import Path
        first = Path({str(tmp_path / "first")!r})
        if first.exists():
            signal.pause()
        first.touch()
        heard, said = os.pipe()
        if os.fork() == 0:
            os.setsid()
            os.write(said, b"gone")
            {signpost.tell("os.getpid()")}
            signal.pause()
        os.read(heard, 4)
        os.kill(os.getpid(), 9)
    """
    watched = Watched(program(leaving), tmp_path)
    await watched.starts.get()
    await watched.starts.get()
    (left,) = await signpost.hear()
    await watched.stop()
    os.kill(int(left), signal.SIGKILL)


async def test_a_stubborn_program_is_killed_when_its_grace_is_over(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    signpost = Signpost(tmp_path)
    stubborn = f"""
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        {signpost.say("ready")}
        signal.pause()
    """
    watched = Watched(program(stubborn, grace=0.01), tmp_path)
    await signpost.hear()
    await watched.stop()
    assert "did not stop within 0.01 s and was killed" in capfd.readouterr().err


@pytest.mark.parametrize("steps", range(6))
async def test_a_stop_right_after_the_start_leaves_nothing_running(
    tmp_path: Path, steps: int
) -> None:
    pids: list[int] = []
    supervisor = Supervisor(
        [program(SLEEP)], tmp_path, lambda each: pids.append(each["sleeper"]["pid"])
    )
    supervisor.start()
    for _ in range(steps):
        await asyncio.sleep(0)
    await supervisor.stop()
    for each in filter(None, pids):
        with pytest.raises(ProcessLookupError):
            os.kill(each, 0)


async def test_a_program_that_is_killed_for_good_is_not_started_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    watched = Watched(program(SLEEP), tmp_path)
    await watched.starts.get()
    watched.process.kill()
    await watched.running
    assert capfd.readouterr().err == ""


async def test_services_stop_in_reverse_order(tmp_path: Path) -> None:
    signpost = Signpost(tmp_path)

    def service(name: str) -> Program:
        code = f"""
            import signal
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
            {signpost.say("ready")}
            signal.sigwait([signal.SIGTERM])
            {signpost.say(name)}
        """
        return program(code, service=name)

    names = ["nats", "gateway", "web"]
    records: list[dict[str, object]] = []
    supervisor = Supervisor([service(each) for each in names], tmp_path, records.append)
    supervisor.start()
    await signpost.hear(3)
    await supervisor.stop()
    assert await signpost.hear(3) == names[::-1]
    assert list(records[-1]) == names


async def test_several_processes_of_a_service_are_recorded_as_a_list(tmp_path: Path) -> None:
    records: asyncio.Queue[dict[str, object]] = asyncio.Queue()
    listed = [program(SLEEP, service="web"), program(SLEEP, service="agent-worker", copies=2)]
    supervisor = Supervisor(listed, tmp_path, records.put_nowait)
    supervisor.start()
    for _ in range(3):
        record = await records.get()
    await supervisor.stop()
    assert isinstance(record["web"], dict)
    assert isinstance(record["agent-worker"], list)
    assert len(record["agent-worker"]) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
async def test_rule_19_a_killed_launcher_leaves_no_process(tmp_path: Path) -> None:
    launcher = """
        import asyncio, sys
        from pathlib import Path
        from parley_launcher.house import Program
        from parley_launcher.process import Process

        code = "import signal; signal.signal(15, signal.SIG_IGN); signal.pause()"
        program = Program("sleeper", (sys.executable, "-c", code), {}, 1.0)
        process = Process(program, "sleeper", Path(sys.argv[1]), lambda: print(process.pid))
        asyncio.run(process.run())
    """
    killed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-c", textwrap.dedent(launcher), str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert killed.stdout
    child = os.pidfd_open(int(await killed.stdout.readline()))
    killed.kill()
    await killed.wait()
    ended, _, _ = await asyncio.to_thread(select.select, [child], [], [], PATIENCE_S)
    assert ended, "the child outlived its launcher"
    os.close(child)


async def test_all_words_go_to_a_file_and_troubles_to_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    signpost = Signpost(tmp_path)
    talking = f"""
        import signal
        print("2026-01-01T00:00:00 INFO gateway - all is well")
        print("2026-01-01T00:00:00 WARNING gateway 4bf9 the disk is nearly full")
        print("[7] 2026/01/01 00:00:00.1 [INF] Server is ready")
        print("[7] 2026/01/01 00:00:00.1 [ERR] no space left")
        print("Segmentation fault \\U0001f9e8", end="", flush=True)
        {signpost.say("said")}
        signal.pause()
    """
    watched = Watched(program(talking, service="gateway"), tmp_path)
    await signpost.hear()
    await watched.stop()
    assert capfd.readouterr().err.splitlines() == [
        "       gateway  the disk is nearly full",
        "       gateway  no space left",
        "       gateway  Segmentation fault \U0001f9e8",
    ]
    assert len((tmp_path / "gateway.log").read_text().splitlines()) == 5


async def test_a_log_that_cannot_be_written_stops_no_service(tmp_path: Path) -> None:
    (tmp_path / "gateway.log").mkdir()
    signpost = Signpost(tmp_path)
    talking = f"""
        import signal
        line = "2026-01-01T00:00:00 INFO gateway - " + "word " * 20
        for _ in range(5000):
            print(line, flush=True)
        {signpost.say("said")}
        signal.pause()
    """
    watched = Watched(program(talking, service="gateway"), tmp_path)
    await signpost.hear()
    await watched.stop()
