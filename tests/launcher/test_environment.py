"""`.env` at the root: read below the shell's variables, and never half."""

from __future__ import annotations

from pathlib import Path

import pytest
from parley_launcher.environment import environment
from parley_launcher.errors import Trouble


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that is read in place of the root's."""
    path = tmp_path / ".env"
    monkeypatch.setenv("PARLEY_ENV_FILE", str(path))
    return path


def test_the_file_is_read(env_file: Path) -> None:
    env_file.write_text("# keys\nLOCAL_BASE_URL='http://127.0.0.1:8080/v1'  # llama-swap\n")
    assert environment()["LOCAL_BASE_URL"] == "http://127.0.0.1:8080/v1"


def test_the_shell_wins_over_the_file(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file.write_text("PARLEY_WEB_PORT=1\n")
    monkeypatch.setenv("PARLEY_WEB_PORT", "2")
    assert environment()["PARLEY_WEB_PORT"] == "2"


def test_an_empty_value_is_as_good_as_none(env_file: Path) -> None:
    env_file.write_text("OPENAI_API_KEY=\n")
    assert "OPENAI_API_KEY" not in environment()


def test_a_relative_data_folder_in_the_file_is_beside_the_file(env_file: Path) -> None:
    env_file.write_text("PARLEY_DATA=elsewhere\n")
    assert environment()["PARLEY_DATA"] == str(env_file.parent / "elsewhere")


def test_a_data_folder_in_the_owners_home_is_there(
    env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/owner")
    env_file.write_text("PARLEY_DATA=~/parley\n")
    assert environment()["PARLEY_DATA"] == "/home/owner/parley"


def test_a_missing_file_is_no_trouble(env_file: Path) -> None:
    assert environment()


@pytest.mark.parametrize("line", ["OPENAI_API_KEY='unclosed", "KEY = 'a' 'b'", "=value"])
def test_a_broken_line_is_named(env_file: Path, line: str) -> None:
    env_file.write_text(f"# first\nGOOD=1\n{line}\n")
    with pytest.raises(Trouble, match=r"\.env cannot be read at line 3: write it as NAME=value"):
        environment()


def test_a_file_that_is_not_text_is_named(env_file: Path) -> None:
    env_file.write_bytes(b"KEY=\xff\xfe\n")
    with pytest.raises(Trouble, match=r"\.env cannot be read: it is not UTF-8 text"):
        environment()


def test_a_folder_in_the_files_place_is_named(env_file: Path) -> None:
    env_file.mkdir()
    with pytest.raises(Trouble, match=r"\.env cannot be read: Is a directory; mend that"):
        environment()
