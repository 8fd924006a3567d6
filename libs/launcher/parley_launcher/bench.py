"""`./parley bench`: how fast this Parley is on this machine, beside a relay that stores nothing.

Paths among the arguments are relative to the root.
"""

from __future__ import annotations

import os
import sys

from parley_launcher.install import ROOT


def main(arguments: list[str]) -> int:
    """Become the benchmark, with the arguments."""
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "bench", *arguments])
