"""The command line: finds the command's module and runs it.

Each command is a module of its own name with `main(arguments) -> exit code`. It is imported only
when it is called, so that none pays for the others.
"""

from __future__ import annotations

import importlib
import keyword
import sys

from parley_launcher.errors import Trouble

COMMANDS = {
    "up": "start everything in the foreground; Ctrl-C stops it",
    "send": "send one message and stream the answer",
    "status": "show services, workers, streams and queues",
    "letters": "show what came to nothing: turns that killed their workers, unreadable input",
    "events": "follow what happens, one JSON line each",
    "backup": "keep everything in one file; Parley may run meanwhile",
    "restore": "put a backup in the place of what is there",
    "export": "write threads and agents into files that can be read and imported",
    "import": "make threads and agents from such files",
    "test": "set up what the tests need and run them",
    "chaos": "hurt a Parley of its own at random and judge what became of it",
    "bench": "measure its speed beside a relay that stores nothing",
    "lock": "pin every package anew",
}


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code; a trouble is one line on standard error."""
    name, *rest = arguments or ["--help"]
    if name in {"--help", "-h", "help"}:
        print(_overview())
        return 0
    try:
        if name not in COMMANDS:
            raise Trouble(f"there is no command '{name}'; './parley --help' lists them")
        module = f"{name}_" if keyword.iskeyword(name) else name
        return int(importlib.import_module(f"parley_launcher.{module}").main(rest))
    except Trouble as trouble:
        print(f"parley: {trouble}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _overview() -> str:
    lines = [f"  ./parley {name:8}{summary}" for name, summary in COMMANDS.items()]
    return "\n".join(["Parley", "", *lines, "", "Each command explains its options with --help."])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
