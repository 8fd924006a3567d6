"""`./parley letters`: what came to nothing, and the bytes of one such thing."""

from __future__ import annotations

import sys
from base64 import b64decode
from collections.abc import Iterator

from parley_bus import Bus
from parley_contracts.letters import LetterList, LetterRef, ListLetters
from parley_contracts.operations import LETTERS_GET, LETTERS_LIST

from parley_launcher.client import as_owner, ask, checked
from parley_launcher.environment import environment
from parley_launcher.folder import DataFolder
from parley_launcher.options import Parser


def main(arguments: list[str]) -> int:
    """Print the dead letters, or one's bytes as they are. Raises Trouble."""
    parser = Parser("letters", "Show dead letters, or write one's bytes.", environment())
    parser.data_option()
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    parser.add_argument("letter", nargs="?", help="the id of a letter, whose bytes are written")
    options = parser.parse_args(arguments)

    async def work(bus: Bus) -> int:
        if options.letter:
            found = await ask(bus, LETTERS_GET, checked(LetterRef, id=options.letter))
            sys.stdout.buffer.write(b64decode(found.payload))
            sys.stdout.flush()
            return 0
        letters = await ask(bus, LETTERS_LIST, ListLetters(limit=500))
        print(letters.encode().decode() if options.json else "\n".join(_lines(letters)))
        return 0

    return as_owner(DataFolder(options.data), work)


def _lines(found: LetterList) -> Iterator[str]:
    """Yield the letters as a person reads them."""
    for each in found.letters:
        moment = f"{each.kept_at:%Y-%m-%d %H:%M:%S}"
        yield f"{each.id}  {moment} UTC  {each.subject}  {each.size} bytes"
        yield from (f"  {each.reason}", f"  {each.start}")
    yield f"{found.total} dead letters" if found.total else "no dead letters"
