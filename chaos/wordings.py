"""What people say, with the answer that the echo must give: a pattern over the whole answer."""

from __future__ import annotations

import json
import re
from random import Random

from chaos.records import Wording

UNKNOWN = r"The outcome of this call is unknown: .*"
WORDS = ("amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heath", "islet", "jetty")
FAILURES = ("server-error", "rate-limited", "unknown-model", "stalled", "cut", "malformed")


def plain(random: Random, marker: str) -> Wording:
    """Return a few words."""
    text = _words(random, marker, random.randint(2, 10))
    return Wording(text, re.escape(text))


def slow(random: Random, marker: str) -> Wording:
    """Return words that take about a second, now and then many."""
    pause = random.choice((0.1, 0.1, 0.1, 0.6))
    text = _words(random, marker, 9)
    return Wording(f"{text}[[slow {pause}]]", re.escape(text))


def long(random: Random, marker: str) -> Wording:
    """Return a text whose answer has some hundred words."""
    number = random.randint(100, 400)
    answer = " ".join(f"word{each}" for each in range(1, number + 1))
    return Wording(f"{marker} [[long {number}]]", f"{marker} {answer}")


def failing(random: Random, marker: str) -> Wording:
    """Return a text whose turn is to fail."""
    kind = random.choice(FAILURES)
    text = _words(random, marker, 3)
    return Wording(f"{text}[[fail {kind}]]", f"({re.escape(text)})?", kind)


def noting(random: Random, marker: str) -> Wording:
    """Return a text that has something changed by a tool."""
    return _calling(random, marker, ["note"])


def looking(random: Random, marker: str) -> Wording:
    """Return a text that has something looked up by a tool."""
    return _calling(random, marker, ["look"])


def busy(random: Random, marker: str) -> Wording:
    """Return a text that has several tools called."""
    return _calling(random, marker, random.choices(("note", "look"), k=random.randint(2, 4)))


def any_wording(random: Random, marker: str) -> Wording:
    """Return one of all kinds."""
    kinds = (plain, slow, long, failing, noting, looking, busy)
    return random.choices(kinds, weights=(8, 4, 2, 1, 3, 2, 2))[0](random, marker)


def _calling(random: Random, marker: str, tools: list[str]) -> Wording:
    text, answer = marker, re.escape(marker)
    for number, tool in enumerate(tools, start=1):
        key = f"{marker}-{number}"
        arguments = {"key": key, "seconds": random.choice((0.0, 0.1, 0.5))}
        result = f"{tool} {key} [0-9a-f]{{8}}"
        text += f" [[tool {tool} {json.dumps(arguments)}]]"
        answer += rf" ({result}|{UNKNOWN})" if tool == "note" else f" {result}"
    return Wording(text, answer)


def _words(random: Random, marker: str, number: int) -> str:
    return " ".join([marker, *random.choices(WORDS, k=number)])
