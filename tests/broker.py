"""A real nats-server for tests, with the users and permissions that every installation has.

`broker` is the fixture (tests/conftest.py); it can be killed, frozen, wiped and started again on
the same port and store.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

from parley_bus import NatsContext, server_config
from parley_contracts.permissions import SERVICES, inbox
from ports import own_port

PASSWORDS = {service: f"{service}-password" for service in SERVICES}
_BINARY = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or "nats-server"


class Broker:
    """One server; make it with a fresh folder, then `start` it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self.port = own_port()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def context(self, service: str) -> NatsContext:
        """Return the credential of a service."""
        return NatsContext(
            url=self.url,
            user=service,
            password=PASSWORDS[service],
            inbox_prefix=inbox(service),
        )

    def context_file(self, service: str) -> Path:
        """Return the credential of a service as a file, as PARLEY_NATS_CONTEXT names one."""
        path = self._folder / f"{service}.json"
        path.write_text(json.dumps(self.context(service).model_dump()))
        path.chmod(0o600)
        return path

    def start(self) -> None:
        """Start, on the same port as before, and return when clients are served."""
        config = self.write_config(PASSWORDS)
        self._process = subprocess.Popen(
            [_BINARY, "-c", str(config)], stderr=subprocess.PIPE, text=True
        )
        self._await_ready(self._process)

    def write_config(self, passwords: dict[str, str]) -> Path:
        """Write the configuration that `start` and `reload` read."""
        path = self._folder / "nats.conf"
        store = str(self._folder / "store")
        path.write_text(server_config(passwords=passwords, store_dir=store, port=self.port))
        return path

    def _await_ready(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr
        seen: list[str] = []
        for line in process.stderr:
            seen.append(line)
            if "Server is ready" in line:
                break
        else:
            raise AssertionError("nats-server did not start:\n" + "".join(seen))
        threading.Thread(target=process.stderr.read, daemon=True).start()

    def kill(self) -> None:
        """End as with a power button: SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End orderly."""
        self._end(signal.SIGTERM)

    def _end(self, by: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(by)
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Kill and start again with what was stored."""
        self.kill()
        self.start()

    def wipe(self) -> None:
        """Kill and start again with nothing."""
        self.kill()
        shutil.rmtree(self._folder / "store")
        self.start()

    def reload(self) -> None:
        """Let it read its configuration again."""
        assert self._process
        self._process.send_signal(signal.SIGHUP)

    def freeze(self) -> None:
        """Let it neither answer nor die."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # until all its threads stand still

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)
