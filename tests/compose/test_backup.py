"""A backup of one kind of installation restores in the other, there and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from compose_house import ComposeHouse
from house import House
from moved_house import packed, seen

pytestmark = pytest.mark.compose


@pytest.fixture
def containers(clone: Path) -> Iterator[ComposeHouse]:
    """A house in containers that is not started yet."""
    house = ComposeHouse(clone)
    try:
        yield house
    finally:
        house.remove()


def test_from_one_machine_into_containers_and_back(
    make_house: Callable[..., House], containers: ComposeHouse, tmp_path: Path
) -> None:
    moving = packed(make_house(), tmp_path / "there.backup")
    containers.compose("build")
    containers.restore(moving.backup)
    containers.up()
    assert seen(containers.url, moving.cookies) == moving.saw
    back = tmp_path / "back.backup"
    containers.backup(back)

    restored = make_house(data=tmp_path / "restored")
    answer = restored.parley("restore", str(back))
    assert answer.returncode == 0, answer.stderr
    restored.start()
    assert seen(restored.url, moving.cookies) == moving.saw
