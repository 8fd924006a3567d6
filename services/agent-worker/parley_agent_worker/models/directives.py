"""Directives: `[[verb rest]]` in a user's text, by which the echo model is driven.

`[[tool NAME {json}]]`  `[[slow SECONDS]]`  `[[fail KIND]]`  `[[think TEXT]]`  `[[long N]]`
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

VERBS = ("tool", "slow", "fail", "think", "long")
_OPENING = re.compile(rf"\[\[({'|'.join(VERBS)})\s+")
_TOOL_NAME = re.compile(r"[\w.-]+\s*")


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive; `argument` is all after the verb, for a tool what follows its `name`."""

    verb: str
    argument: str
    name: str = ""


def split(text: str) -> list[str | Directive]:
    """Return the text as plain pieces and directives, in order; what is no directive stays text."""
    pieces: list[str | Directive] = []
    plain = position = 0
    while opening := _OPENING.search(text, position):
        position = opening.end()
        if found := _read(text, opening[1], position):
            directive, position = found
            pieces += [text[plain : opening.start()], directive]
            plain = position
    pieces.append(text[plain:])
    return [piece for piece in pieces if piece != ""]


def _read(text: str, verb: str, start: int) -> tuple[Directive, int] | None:
    """Return the directive whose rest begins at `start`, and where the text goes on."""
    name = _TOOL_NAME.match(text, start) if verb == "tool" else None
    argument_start = name.end() if name else start
    end = text.find("]]", _json_end(text, argument_start) if name else argument_start)
    if end < 0:
        return None
    argument = text[argument_start:end].strip()
    return Directive(verb, argument, name[0].strip() if name else ""), end + 2


def _json_end(text: str, start: int) -> int:
    """Return where the JSON value at `start` ends (it may hold `]]`); without one, `start`."""
    try:
        return json.JSONDecoder().raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return start
