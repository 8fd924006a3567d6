"""`./parley chaos`: hurt a Parley of its own at random and see whether it keeps its promise.

Paths among the arguments are relative to the root.
"""

from __future__ import annotations

from parley_launcher.become import become


def main(arguments: list[str]) -> int:
    """Become the chaos, with the arguments."""
    become("chaos", arguments)
