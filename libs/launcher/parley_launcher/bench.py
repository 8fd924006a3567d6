"""`./parley bench`: how fast this Parley is on this machine, beside a relay that stores nothing.

Paths among the arguments are relative to the root.
"""

from __future__ import annotations

from parley_launcher.become import become


def main(arguments: list[str]) -> int:
    """Become the benchmark, with the arguments."""
    become("bench", arguments)
