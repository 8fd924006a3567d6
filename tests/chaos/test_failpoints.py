"""Every failpoint lies on the way of a running house, and strikes when it is armed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from api_client import Api
from eventually import eventually
from house import House
from parley_bus.failpoints import FAILPOINTS, arm


async def test_every_point_is_passed_by_a_running_house(
    make_house: Callable[..., House], tmp_path: Path
) -> None:
    points = tmp_path / "points"
    points.mkdir()
    for name in FAILPOINTS:
        arm(points, name, signal.SIGCONT)
    house = make_house(PARLEY_FAILPOINTS=str(points), PARLEY_GRACE="1").start()

    async def left(*names: str) -> bool:
        return {each.name for each in points.iterdir()} == set(names)

    async with Api(house.url, house.token) as api:
        thread = await api.new_thread()
        await api.ask(thread, 'Six times seven: [[tool calculator {"expression": "6*7"}]]')
        async with api.events(thread) as events:
            await events.opened()
            await api.send(thread, "one two three [[slow 60]]")
            await events.until("text_delta")
        await eventually(lambda: left("release.before", "release.after"))
        os.kill(house.pid("agent-worker"), signal.SIGTERM)
        await eventually(left)


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_an_armed_point_strikes_once(tmp_path: Path, by: signal.Signals) -> None:
    file = arm(tmp_path, "commit.after", by)
    code = (
        "from parley_bus.failpoints import failpoint;"
        "failpoint('commit.before'); failpoint('commit.after'); print('passed')"
    )
    run = (sys.executable, "-c", code)
    environment = {**os.environ, "PARLEY_FAILPOINTS": str(tmp_path)}
    first = subprocess.run(run, env=environment, capture_output=True, text=True)
    assert (first.returncode, first.stdout) == (-by, "")
    assert not file.exists()
    again = subprocess.run(run, env=environment, capture_output=True, text=True)
    assert (again.returncode, again.stdout) == (0, "passed\n")
