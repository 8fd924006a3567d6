"""Commands that are programs of their own, in a folder of the root."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from parley_launcher.install import ROOT


def become(module: str, arguments: list[str]) -> NoReturn:
    """Become the module, with the arguments; paths among them are relative to the root."""
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
