"""Code colouring: source → spans with Pygments' short class names, or None when it stays plain."""

from __future__ import annotations

from functools import lru_cache

from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

MAX_CODE = 100_000
"""Longer code stays plain, in characters: colouring it would hold up everyone else."""

CLASSES = frozenset(name for name in STANDARD_TYPES.values() if name)
"""Every class that the spans can have."""

_FORMATTER: HtmlFormatter[str] = HtmlFormatter(nowrap=True)


@lru_cache(maxsize=128)
def coloured(code: str, language: str) -> str | None:
    """Return `code` as escaped HTML with spans, None for an unknown language or too much code.

    Remembered, because what was coloured as it closed is coloured again in the stored message.
    """
    lexer = _lexer(language.lower()) if language and len(code) <= MAX_CODE else None
    return None if lexer is None else highlight(code, lexer, _FORMATTER)


@lru_cache(maxsize=64)
def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
