"""What runs, in which order, and what each part is told.

Services are started in the order of the list and stopped in reverse. Each sees of the environment
only what every program needs and what is its own: a provider's key reaches workers and no one else.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

from parley_launcher.broker import context_file
from parley_launcher.folder import DataFolder
from parley_launcher.install import ROOT
from parley_launcher.options import UpOptions

COMMON = (
    *("PATH", "HOME", "USER", "LANG", "LC_*", "TZ", "TMPDIR", "XDG_*"),
    *("SSL_CERT_*", "*_PROXY", "*_proxy", "PARLEY_LOG_LEVEL", "PARLEY_FAILPOINTS"),
)
GATEWAY = ("DATABASE_URL", "PARLEY_ACCESS_TOKEN", "PARLEY_REPLICAS")
WORKER = (
    *("OPENAI_*", "LOCAL_*", "ANTHROPIC_*", "OPENROUTER_*"),
    *("PARLEY_DEFAULT_MODEL", "PARLEY_SKILLS", "PARLEY_TOOLS", "PARLEY_DISCOVER"),
)
WEB = ("PARLEY_ALLOWED_HOSTS",)


@dataclass(frozen=True)
class Program:
    """How a service is run. `grace`: seconds it has to stop by itself; `port`: where it listens."""

    service: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    grace: float
    port: int | None = None
    copies: int = 1


class House:
    """The programs of one `./parley up`."""

    def __init__(
        self, options: UpOptions, folder: DataFolder, environment: Mapping[str, str]
    ) -> None:
        self._options = options
        self._folder = folder
        self._environment = environment

    def programs(self, web_port: int, nats: tuple[Path, int] | None) -> list[Program]:
        """Return all of them in start order; `nats` is the embedded server's file and port."""
        return [
            # Everyone else connects to it, and waits until it answers.
            *([_nats(*nats)] if nats else []),
            # Makes the streams and, at the first start, the database and the access token.
            self._gateway(),
            # Runs turns; what it cannot finish in its grace goes back into the queue.
            self._worker(),
            # The door opens last and closes first.
            self._web(web_port),
        ]

    def _gateway(self) -> Program:
        told = {"PARLEY_DATA": str(self._folder.path)}
        return self._service("gateway", 15.0, GATEWAY, told)

    def _worker(self) -> Program:
        told = {
            "PARLEY_SKILLS": str(ROOT / ".agents" / "skills"),
            "PARLEY_TURNS_PER_WORKER": str(self._options.turns_per_worker),
            "PARLEY_GRACE": str(self._options.grace),
        }
        grace = self._options.grace + 5
        return self._service("agent-worker", grace, WORKER, told, copies=self._options.workers)

    def _web(self, port: int) -> Program:
        told = {"PARLEY_HOST": self._options.host, "PARLEY_WEB_PORT": str(port)}
        return self._service("web", 10.0, WEB, told, port=port)

    def _service(
        self,
        name: str,
        grace: float,
        own: Iterable[str],
        told: Mapping[str, str],
        *,
        port: int | None = None,
        copies: int = 1,
    ) -> Program:
        module = "parley_" + name.replace("-", "_")
        passed = _chosen(self._environment, (*COMMON, *own))
        context = {"PARLEY_NATS_CONTEXT": str(context_file(self._folder, name))}
        return Program(
            name,
            (sys.executable, "-I", "-m", module),
            {**told, **passed, **context},
            grace,
            port,
            copies,
        )


def run_gateway(
    command: str,
    folder: DataFolder,
    environment: Mapping[str, str],
    *,
    stdin: BinaryIO | None = None,
    stdout: BinaryIO | None = None,
) -> int:
    """Run one of the gateway's own commands, which says by itself what is wrong; return its code.

    Only the gateway touches the database.
    """
    told = {
        "PARLEY_DATA": str(folder.path),
        "PARLEY_NATS_CONTEXT": str(context_file(folder, "gateway")),
    }
    return subprocess.run(
        (sys.executable, "-I", "-m", f"parley_gateway.{command}"),
        env={**told, **_chosen(environment, (*COMMON, *GATEWAY))},
        stdin=stdin,
        stdout=stdout,
        check=False,
    ).returncode


def _nats(config: Path, port: int) -> Program:
    server = Path(sysconfig.get_path("scripts")) / "nats-server"
    return Program("nats", (str(server), "--config", str(config)), {}, 10.0, port)


def _chosen(environment: Mapping[str, str], patterns: Iterable[str]) -> dict[str, str]:
    wanted = tuple(patterns)
    return {
        name: value
        for name, value in environment.items()
        if any(fnmatchcase(name, pattern) for pattern in wanted)
    }
