"""Code colouring: source → spans with Pygments' short class names, or None when it stays plain."""

from __future__ import annotations

from functools import lru_cache

from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

from parley_web.markdown.budget import Budget, OutOfTime

MAX_CODE = 100_000
"""Longer code stays plain, in characters."""
COLOURING_S = 0.5
"""Time of the processor for the code of one message: more would hold up everyone else."""

CLASSES = frozenset(name for name in STANDARD_TYPES.values() if name)
"""Every class that the spans can have."""

_FORMATTER: HtmlFormatter[str] = HtmlFormatter(nowrap=True)


def coloured(code: str, language: str, budget: Budget) -> str | None:
    """Return `code` as escaped HTML with spans.

    None for an unknown language, and for code that is too much or whose lexer fails.
    """
    lexer = _lexer(language.lower()) if language and len(code) <= MAX_CODE else None
    if lexer is None:
        return None
    try:
        with budget:
            return _coloured(code, lexer)
    except (OutOfTime, Exception):  # noqa: BLE001  any input may come, a lexer raises what it likes
        _lexer.cache_clear()  # it may have been left in the middle of something
        return None


@lru_cache(maxsize=128)
def _coloured(code: str, lexer: Lexer) -> str:
    """Remembered, because what was coloured as it closed is coloured again when it is stored."""
    return highlight(code, lexer, _FORMATTER)


@lru_cache(maxsize=64)
def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
