"""`./parley backup FILE`: everything that the database holds at this moment, in one file.

Parley may run meanwhile. The file takes its name when it is complete, so an older one of that name
is kept until then.
"""

from __future__ import annotations

import os
from pathlib import Path

from parley_launcher.environment import environment
from parley_launcher.errors import Trouble
from parley_launcher.folder import DataFolder
from parley_launcher.house import run_gateway
from parley_launcher.options import Parser


def main(arguments: list[str]) -> int:
    """Write the backup. Raises Trouble when the file cannot be made."""
    variables = environment()
    parser = Parser("backup", "Keep everything in one file; Parley may run meanwhile.", variables)
    parser.data_option()
    parser.add_argument("file", metavar="FILE", type=Path, help="where to keep it")
    options = parser.parse_args(arguments)
    draft = options.file.parent / f".{options.file.name}.{os.getpid()}"
    try:
        return _write(draft, options.file, DataFolder(options.data), variables)
    except OSError as error:
        raise Trouble(f"{options.file} cannot be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)


def _write(draft: Path, file: Path, folder: DataFolder, variables: dict[str, str]) -> int:
    with open(draft, "xb", opener=_private) as output:
        code = run_gateway("backup", folder, variables, stdout=output)
        os.fsync(output)
    if code == 0:
        draft.replace(file)
    return code


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
