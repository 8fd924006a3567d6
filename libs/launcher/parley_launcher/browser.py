"""The Chromium that browser tests drive: the machine's own, or one that is fetched for them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> Path | None:
    """Return the machine's own Chromium, or None."""
    found = filter(None, map(shutil.which, NAMES))
    return next(map(Path, found), None)


def provide() -> None:
    """See to it that there is one, as the machine allows; tests tell when there is none."""
    if find():
        return
    print("parley: no Chromium is here, fetching one for the browser tests", file=sys.stderr)
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _try("apt-get", "update", "--quiet")
        _try("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "chromium")
    if not find():
        _try(sys.executable, "-m", "playwright", "install", "chromium")


def _try(*command: str) -> None:
    """Run an installer; its own words, and its failure, go to the terminal."""
    subprocess.run(command, check=False, stdout=sys.stderr)
