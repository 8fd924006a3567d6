"""`./parley chaos`: hurt a Parley of its own at random and see whether it keeps its promise.

Paths among the arguments are relative to the root.
"""

from __future__ import annotations

import os
import sys

from parley_launcher.install import ROOT


def main(arguments: list[str]) -> int:
    """Become the chaos, with the arguments."""
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "chaos", *arguments])
