"""The same broker as in broker.py, in the official container image."""

from __future__ import annotations

import shutil
from pathlib import Path

from broker import PASSWORDS, Broker
from container_network import LISTEN_ON, reachable
from docker.models.containers import Container
from parley_bus import server_config
from testcontainers.core.container import DockerContainer

IMAGE = "nats:2.15-alpine"


class ContainerBroker(Broker):
    """A nats-server in a container, reached at one port for its whole life."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._running: DockerContainer | None = None

    @property
    def _container(self) -> Container:
        assert self._running
        return self._running.get_wrapped_container()

    def write_config(self, passwords: dict[str, str]) -> Path:
        path = self._folder / "nats.conf"
        path.write_text(
            server_config(passwords=passwords, store_dir="/store", host=LISTEN_ON, port=self.port)
        )
        return path

    def start(self) -> None:
        if self._running:
            self._resume()
            return
        config = self.write_config(PASSWORDS)
        container = DockerContainer(IMAGE).with_command("nats-server -c /parley/nats.conf")
        container.with_volume_mapping(str(config.parent), "/parley")
        self._running = reachable(container, self.port).start()

    def _resume(self) -> None:
        self._container.reload()
        if self._container.status == "paused":
            self.thaw()
        self._container.start()

    def kill(self) -> None:
        self._container.reload()
        if self._container.status == "running":
            self._container.kill()
            self._container.wait()

    def stop(self) -> None:
        self._container.stop()

    def wipe(self) -> None:
        self.remove()
        self.start()

    def remove(self) -> None:
        """Leave nothing behind."""
        if self._running:
            self._running.stop()
            self._running = None
        shutil.rmtree(self._folder / "store", ignore_errors=True)

    def freeze(self) -> None:
        self._container.pause()

    def thaw(self) -> None:
        self._container.unpause()

    def reload(self) -> None:
        self._container.kill("SIGHUP")
