"""What the worker's tests share: a model server, a gateway and workers as real processes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from agent_worker.stage import Client, Stage
from agent_worker.stage import client as connected
from fakes.model_process import ModelProcess


@pytest.fixture(scope="session")
def model_process() -> Iterator[ModelProcess]:
    """One fake model server for the whole session."""
    server = ModelProcess()
    yield server
    server.kill()


@pytest.fixture
def model_server(model_process: ModelProcess) -> ModelProcess:
    """The fake model server, with nothing remembered."""
    model_process.reset()
    return model_process


@pytest.fixture(scope="session")
def running_stage(
    model_process: ModelProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """One broker, gateway and worker for the whole session; tests keep to threads of their own."""
    stage = Stage(tmp_path_factory.mktemp("stage"), model_process.url)
    stage.start_gateway()
    stage.start_worker()
    yield stage
    stage.close()


@pytest.fixture
async def client(running_stage: Stage, model_server: ModelProcess) -> AsyncIterator[Client]:
    """A client of the running stage."""
    async with connected(running_stage) as talking:
        yield talking


@pytest.fixture
def stage(model_server: ModelProcess, tmp_path: Path) -> Iterator[Stage]:
    """A stage of this test alone, with a broker; what else is to run, it starts itself."""
    own = Stage(tmp_path / "stage", model_server.url)
    yield own
    own.close()
