"""Marks the words of a search in what was found."""

from __future__ import annotations

import re
import unicodedata

from markupsafe import Markup, escape

_WORD = re.compile(r"\w+")


def marked(text: str, query: str | None) -> Markup:
    """Return the text, escaped, with the beginnings of words marked that the query looks for."""
    plain = _folded(text)
    words = sorted(map(re.escape, _WORD.findall(_folded(query or ""))), key=len, reverse=True)
    if not words or len(plain) != len(text):  # a letter that folds into two moves all that follow
        return escape(text)
    found = re.compile(rf"(?<!\w)(?:{'|'.join(words)})", re.IGNORECASE)
    made, end = Markup(), 0
    for hit in found.finditer(plain):
        made += escape(text[end : hit.start()])
        made += Markup("<mark>%s</mark>") % text[hit.start() : hit.end()]
        end = hit.end()
    return made + escape(text[end:])


def _folded(text: str) -> str:
    """Return the text without accents, each letter in its place."""
    return "".join(unicodedata.normalize("NFD", letter)[:1] for letter in text)
