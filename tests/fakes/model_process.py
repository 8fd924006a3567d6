"""The fake model server as a process, in the hands of a test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from fakes.answers import Json

_PROGRAM = Path(__file__).with_name("model_server.py")
LIMIT_S = 60.0


class ModelProcess:
    """A running fake model server; `url` is what LOCAL_BASE_URL is set to."""

    def __init__(self, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(_PROGRAM), *options], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        self.url = self._process.stdout.readline().strip()
        assert self.url, "the fake model server did not start"

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.removesuffix("/v1").rsplit(":", 1)[1])

    def script(self, *answers: list[Json]) -> None:
        """Answer the next requests so, one list of actions each."""
        self._control("script", list(answers))

    def open(self, gate: str) -> None:
        """Let the answers go on that wait, or will wait, at the gate."""
        self._control(f"open/{gate}", {})

    def requests(self) -> list[Json]:
        """Return the completion requests so far: their bodies, in order."""
        return [each["body"] for each in self._control("requests")]

    def headers(self) -> list[dict[str, str]]:
        """Return the headers of the completion requests so far."""
        return [each["headers"] for each in self._control("requests")]

    def await_gone(self, count: int = 1) -> None:
        """Return when so many requests were given up by their clients."""
        self._control(f"gone?count={count}")

    def reset(self) -> None:
        """Forget script, gates and requests."""
        self._control("reset", {})

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def _control(self, command: str, body: Any = None) -> Any:
        url = f"{self.url.removesuffix('/v1')}/control/{command}"
        content = None if body is None else json.dumps(body).encode()
        with urlopen(Request(url, content), timeout=LIMIT_S) as reply:
            return json.load(reply)
