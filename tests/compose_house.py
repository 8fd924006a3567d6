"""A whole Parley in containers for tests: a clean clone, its images, one project of the engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from ports import own_port

ROOT = Path(__file__).resolve().parents[1]
PROFILES = ("scale", "local-models", "debug")
LIMIT_S = 600.0
"""Past it a command of the engine fails instead of hanging."""
OURS = re.compile(r"^(PARLEY|NATS|LOCAL|OPENAI|ANTHROPIC|OPENROUTER|COMPOSE)_|^DATABASE_URL$")


def missing(*, engine: bool = True) -> str | None:
    """Return why Compose, or with it a container engine, cannot be used here; None when it can."""
    if not shutil.which("docker"):
        return "the command docker is not installed"
    asked = ["docker", "compose", "version"], ["docker", "version"]
    for command in asked if engine else asked[:1]:
        answer = subprocess.run(command, capture_output=True, text=True)
        if answer.returncode:
            return f"'{' '.join(command)}' says: {answer.stderr.strip().splitlines()[-1]}"
    return None


def clean_clone(folder: Path) -> Path:
    """Clone what is committed, as a stranger gets it, and return the folder."""
    command = ("git", "clone", "--quiet", "--no-hardlinks", ROOT, folder)
    subprocess.run(command, check=True, umask=0o022)
    return folder


class ComposeHouse:
    """One project; variables by keyword stand for the environment or `.env`."""

    def __init__(self, folder: Path, *profiles: str, **variables: str) -> None:
        self.folder = folder
        self.project = f"parley-test-{uuid4().hex[:8]}"
        self.port, self.entrance_port = own_port(), own_port()
        kept = {name: value for name, value in os.environ.items() if not OURS.search(name)}
        self.environment = {
            **kept,
            "COMPOSE_PROJECT_NAME": self.project,
            "COMPOSE_PROFILES": ",".join(profiles),
            "COMPOSE_PROGRESS": "plain",
            "PARLEY_WEB_PORT": str(self.port),
            "PARLEY_ENTRANCE_PORT": str(self.entrance_port),
            **variables,
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def entrance(self) -> str:
        """The address of the one door to several webs."""
        return f"http://127.0.0.1:{self.entrance_port}"

    @property
    def token(self) -> str:
        """The access token in the link that the newest log of web shows."""
        return self.link("web", self.url)

    def link(self, service: str, url: str) -> str:
        """Return the token in the newest link to this address that the service's log shows."""
        log = self.compose("logs", service)
        links = re.findall(rf"open {url}/#token=(\S+)", log)
        assert links, log
        return str(links[-1])

    def run(self, *command: str) -> str:
        """Run a command in the clone and return what it prints; fail with all that it said."""
        answer = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
        said = f"{' '.join(command)}:\n{answer.stdout[-4000:]}\n{answer.stderr[-8000:]}"
        assert answer.returncode == 0, said
        return answer.stdout

    def compose(self, *arguments: str) -> str:
        """Run `docker compose`."""
        return self.run("docker", "compose", *arguments)

    def up(self, *arguments: str) -> None:
        """Build what is missing, start everything, return when all are healthy."""
        self.compose("up", "--wait", *arguments)

    def remove(self) -> None:
        """Leave neither containers nor volumes nor images behind, not even those built over."""
        profiles = [word for name in PROFILES for word in ("--profile", name)]
        self.compose(*profiles, "down", "--volumes", "--remove-orphans", "--rmi", "local")
        ours = f"label=com.docker.compose.project={self.project}"
        self.run("docker", "image", "prune", "--force", "--filter", ours)

    def containers(self, service: str = "") -> list[str]:
        """Return the ids of a service's running containers, or of all."""
        return self.compose("ps", "--quiet", *([service] if service else [])).split()

    def inspect(self, *names: str) -> list[dict[str, Any]]:
        """Return what the engine shows of containers, images or volumes."""
        found: list[dict[str, Any]] = json.loads(self.run("docker", "inspect", *names))
        return found

    def published(self) -> list[tuple[str, str]]:
        """Return the addresses and ports of this machine at which containers listen."""
        return [
            (binding["HostIp"], binding["HostPort"])
            for each in self.inspect(*self.containers())
            for bindings in each["NetworkSettings"]["Ports"].values()
            for binding in bindings or []
        ]

    def inside(self, service: str, *command: str) -> str:
        """Run a command inside a service's first container."""
        return self.compose("exec", "--no-TTY", service, *command)

    def backup(self, file: Path) -> None:
        """Take a backup of the running house."""
        command = f"docker compose exec -T gateway python -m parley_gateway.backup > {file}"
        self.run("sh", "-ec", command)

    def restore(self, file: Path, *options: str) -> None:
        """Restore a backup into a house that stands still."""
        run = " ".join(["docker compose run --rm -T", *options, "gateway"])
        self.run("sh", "-ec", f"{run} python -m parley_gateway.restore < {file}")

    def await_health(self, wanted: str, *containers: str) -> None:
        """Return when the health of all these containers is as wanted."""
        until = time.monotonic() + LIMIT_S
        while {each["State"]["Health"]["Status"] for each in self.inspect(*containers)} != {wanted}:
            assert time.monotonic() < until, self.compose("ps", "--all")
            time.sleep(0.2)
