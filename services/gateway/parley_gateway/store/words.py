"""Words as search sees them, the same on every database.

Case, accents and letter variants are folded away; scripts written without spaces (Chinese,
Japanese, Thai, …) become one word a character, so that any part of a sentence is found.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3040-\u30ff\u31f0-\u31ff"  # Hiragana, Katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_ACCENT = re.compile("[\u0300-\u036f]")
_TERM = re.compile(r'"([^"]*)"|([^\s"]+)')
LONGEST_WORD = 100
SNIPPET = 160
"""Characters of a snippet."""


def fold(text: str) -> str:
    """Return the text without case and accents."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", _ACCENT.sub("", _decompose(text))).casefold()


def words(text: str) -> list[str]:
    """Return the text's words, folded, in order; of a very long one its beginning."""
    return [word[:LONGEST_WORD] for word in _WORD.findall(fold(text))]


@dataclass(frozen=True)
class Term:
    """Words that stand side by side; the last one may be a word's beginning, unless quoted."""

    words: tuple[str, ...]
    exact: bool


def terms(query: str) -> list[Term]:
    """Return what a person looks for: every term must be found. Any text is a query."""
    found = [
        Term(tuple(words(quoted or plain)), exact=bool(quoted))
        for quoted, plain in _TERM.findall(query)
    ]
    return [term for term in found if term.words]


def snippet(text: str, wanted: list[Term]) -> str:
    """Return the part of the text around the first wanted word, on one line."""
    first = min((at for term in wanted if (at := _find(text, term.words[0])) >= 0), default=0)
    start = max(0, first - SNIPPET // 4)
    if start:
        start = text.find(" ", start, first) + 1 or start
    piece = " ".join(text[start : start + SNIPPET].split())
    return ("…" if start else "") + piece + ("…" if start + SNIPPET < len(text) else "")


def _find(text: str, word: str) -> int:
    """Return where a folded word stands in the text, -1 when nowhere."""
    found = re.search(rf"(?<![^\W_]){re.escape(word)}", text, re.IGNORECASE)
    if found:
        return found.start()
    folded = [fold(character) for character in text]
    place = "".join(folded).find(word)
    return _offset(folded, place)


def _offset(folded: list[str], place: int) -> int:
    """Return which character of the text the folded text's `place` belongs to."""
    passed = 0
    for offset, character in enumerate(folded):
        if place < passed + len(character):
            return offset if place >= 0 else -1
        passed += len(character)
    return -1


def _decompose(text: str) -> str:
    return unicodedata.normalize("NFKD", text)
