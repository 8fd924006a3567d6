"""The environment that commands and services read: the shell's, and `.env` at the root below it."""

from __future__ import annotations

import os
from pathlib import Path

from parley_launcher.errors import Trouble
from parley_launcher.install import ROOT


def environment() -> dict[str, str]:
    """Return all variables that are set and not empty; the shell's win over the file's.

    PARLEY_ENV_FILE names another file. Raises Trouble when a line of the file cannot be read.
    """
    env_file = Path(os.environ.get("PARLEY_ENV_FILE", ROOT / ".env"))
    written = _read(env_file)
    if data := written.get("PARLEY_DATA"):
        written["PARLEY_DATA"] = str(env_file.parent / Path(data).expanduser())
    return {name: value for name, value in {**written, **os.environ}.items() if value}


def _read(env_file: Path) -> dict[str, str]:
    if not env_file.exists():
        return {}
    from dotenv import dotenv_values
    from dotenv.parser import parse_stream

    try:
        with env_file.open(encoding="utf-8") as lines:
            for each in parse_stream(lines):
                if each.error:
                    raise Trouble(
                        f"{env_file} cannot be read at line {each.original.line}: write it as"
                        " NAME=value, quotes closed, or put a # before it"
                    )
        return {name: value or "" for name, value in dotenv_values(env_file).items()}
    except UnicodeDecodeError as error:
        raise Trouble(
            f"{env_file} cannot be read: it is not UTF-8 text; save it as such"
        ) from error
    except OSError as error:
        raise Trouble(
            f"{env_file} cannot be read: {error.strerror}; mend that,"
            " or name another file with PARLEY_ENV_FILE"
        ) from error
