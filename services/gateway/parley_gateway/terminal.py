"""The gateway's commands at a terminal: what they say, and how they end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps

from parley_contracts.errors import ParleyError


def tell(words: str) -> None:
    """Say something beside the output."""
    print(f"parley: {words}.", file=sys.stderr)


def ends_in_a_sentence(command: Callable[[], None]) -> Callable[[], None]:
    """Have a command that is refused, or whose output is, say why and end with exit code 1."""

    @wraps(command)
    def run() -> None:
        try:
            command()
        except ParleyError as error:
            sys.exit(f"parley: {error.detail}")
        except KeyboardInterrupt:
            sys.exit(130)
        except OSError as error:
            sys.exit(f"parley: {error.strerror}: {error.filename or 'the backup'}.")

    return run
