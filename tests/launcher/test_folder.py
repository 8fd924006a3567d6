"""The data folder belongs to its owner and to one launcher at a time."""

from __future__ import annotations

import fcntl
import stat
from pathlib import Path

import pytest
from parley_launcher import folder as folder_module
from parley_launcher.errors import Trouble
from parley_launcher.folder import DataFolder, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """A made data folder."""
    made = DataFolder(tmp_path / "data")
    made.make()
    return made


def test_only_the_owner_may_enter_the_folder(folder: DataFolder) -> None:
    assert [mode(each) for each in (folder.path, folder.nats, folder.logs)] == [0o700] * 3


def test_a_folder_that_was_open_to_others_is_closed(folder: DataFolder) -> None:
    folder.path.chmod(0o755)
    folder.make()
    assert mode(folder.path) == 0o700


def test_a_secret_file_is_the_owners_alone_also_when_it_was_not(folder: DataFolder) -> None:
    file = folder.path / "secret"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")
    assert (mode(file), file.read_text()) == (0o600, "new")
    assert [each.name for each in folder.path.iterdir() if each.is_file()] == ["secret"]


def test_a_file_in_the_folders_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(Trouble, match=r"data cannot be used: .*--data"):
        DataFolder(tmp_path / "data").make()


def test_a_second_launcher_is_refused(folder: DataFolder) -> None:
    with (
        folder.locked(),
        pytest.raises(Trouble, match="Parley runs already on the data folder"),
        DataFolder(folder.path).locked(),
    ):
        raise AssertionError("two launchers on one folder")


def test_the_folder_is_free_again_afterwards(folder: DataFolder) -> None:
    for _ in range(2):
        with folder.locked():
            folder.run.write_text("{}")
        assert not folder.run.exists()


def test_what_runs_is_read_while_it_runs(folder: DataFolder) -> None:
    with folder.locked():
        folder.run.write_text('{"url": "u"}')
        assert folder.running() == {"url": "u"}


@pytest.mark.parametrize("content", [None, '{"url": '])
def test_what_is_just_starting_is_said_to_be(folder: DataFolder, content: str | None) -> None:
    with folder.locked():
        if content:
            folder.run.write_text(content)
        with pytest.raises(Trouble, match=r"is starting on the data folder .*try again"):
            folder.running()


def test_who_asks_what_runs_hinders_no_start(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = (folder.path / "launcher.lock").open("a+")
    fcntl.flock(asking, fcntl.LOCK_SH)
    monkeypatch.setattr(folder_module, "sleep", lambda _: asking.close())
    with folder.locked():
        assert asking.closed


def test_a_run_file_that_a_killed_launcher_left_counts_for_nothing(folder: DataFolder) -> None:
    with folder.locked():
        pass
    folder.run.write_text('{"url": "u"}')
    with pytest.raises(Trouble, match="does not run on the data folder"):
        folder.running()


def test_an_absent_folder_has_nothing_running(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match=r"'\./parley up' starts it"):
        DataFolder(tmp_path / "absent").running()
