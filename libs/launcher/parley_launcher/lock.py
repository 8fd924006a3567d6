"""`./parley lock`: pins every package of every platform, with hashes, in the two lock files.

Pins that still fit stay; `--upgrade` moves them to the newest (`--upgrade-package NAME`: one).
"""

from __future__ import annotations

import subprocess
import tomllib

from parley_launcher.errors import Trouble
from parley_launcher.install import LOCKS, ROOT, UV, packages

# Lock files name no index: whoever installs uses the one that is set up on his machine.
OPTIONS = (
    *("--universal", "--python-version", "3.11", "--generate-hashes"),
    *("--no-emit-index-url", "--no-emit-find-links", "--no-header", "--quiet"),
)
RUN_GROUPS = ("services", "install")


def main(arguments: list[str]) -> int:
    """Write both lock files; `arguments` go to `uv pip compile`."""
    run, test = (str(LOCKS[each].relative_to(ROOT)) for each in ("run", "test"))
    _compile(run, RUN_GROUPS, *arguments)
    _compile(test, (*RUN_GROUPS, "dev"), "--constraints", run, *arguments)
    return 0


def _compile(output: str, groups: tuple[str, ...], *extra: str) -> None:
    own = [word for name in _own_names() for word in ("--no-emit-package", name)]
    chosen = [word for name in groups for word in ("--group", name)]
    command = [str(UV), "pip", "compile", "pyproject.toml", *OPTIONS, *own, *chosen, *extra]
    if subprocess.run([*command, "--output-file", output], cwd=ROOT, check=False).returncode:
        raise Trouble(f"{output} could not be made (see above); it is left as it was")


def _own_names() -> list[str]:
    """Return the names of Parley's own packages, which are installed from their folders."""
    read = ((each / "pyproject.toml").read_text() for each in packages())
    return [tomllib.loads(text)["project"]["name"] for text in read]
