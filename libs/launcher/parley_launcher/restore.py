"""`./parley restore FILE`: a backup takes the place of the database, which is kept and named."""

from __future__ import annotations

from pathlib import Path

from parley_launcher.environment import environment
from parley_launcher.errors import Trouble
from parley_launcher.folder import DataFolder
from parley_launcher.house import run_gateway
from parley_launcher.options import Parser


def main(arguments: list[str]) -> int:
    """Restore the backup. Raises Trouble when Parley runs or the file cannot be read."""
    variables = environment()
    parser = Parser("restore", "Put a backup in the place of what is there.", variables)
    parser.data_option()
    parser.add_argument("file", metavar="FILE", type=Path, help="what './parley backup' made")
    options = parser.parse_args(arguments)
    folder = DataFolder(options.data)
    try:
        with options.file.open("rb") as backup:
            folder.make()
            with folder.locked():
                return run_gateway("restore", folder, variables, stdin=backup)
    except OSError as error:
        raise Trouble(f"{options.file} cannot be read: {error.strerror}") from error
