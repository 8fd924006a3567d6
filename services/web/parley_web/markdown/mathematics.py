"""Mathematics: `$…$`, `$$…$$`, `\\(…\\)` and `\\[…\\]` become MathML, which browsers draw.

Dollars are the plugin's; the bracket forms, which many models write, are the two rules here. No
form crosses a blank line, so that a growing answer can be closed at blank lines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from html import escape
from typing import Any

import nh3
from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin

MAX_FORMULA = 5_000
"""A longer formula is shown as it was written, in characters."""

_NAMES = (
    "math mrow mi mn mo mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover "
    "mtable mtr mtd mstyle mpadded mphantom menclose mmultiscripts none"
)
TAGS = frozenset(_NAMES.split())
ATTRIBUTES = {
    "math": {"display"},
    "mo": {
        "stretchy",
        "fence",
        "form",
        "accent",
        "separator",
        "minsize",
        "maxsize",
        "movablelimits",
    },
    "mi": {"mathvariant"},
    "mn": {"mathvariant"},
    "mtext": {"mathvariant"},
    "mstyle": {"mathcolor", "displaystyle", "scriptlevel", "mathvariant"},
    "mspace": {"width"},
    "mfrac": {"linethickness"},
    "mover": {"accent"},
    "munder": {"accentunder"},
    "mtable": {
        "rowspacing",
        "columnspacing",
        "displaystyle",
        "columnalign",
        "columnlines",
        "rowlines",
    },
    "mtd": {"columnalign"},
    "menclose": {"notation"},
}
_CLEANER = nh3.Cleaner(tags=set(TAGS), attributes=ATTRIBUTES, link_rel=None)


def mathematics_plugin(markdown: MarkdownIt) -> None:
    """Teach `markdown` all four spellings."""
    dollarmath_plugin(
        markdown,
        allow_labels=False,
        allow_space=False,
        allow_digits=False,
        allow_blank_lines=False,
        double_inline=True,
    )
    for kind, display in (
        ("math_inline", False),
        ("math_inline_double", True),
        ("math_block", True),
    ):
        markdown.add_render_rule(kind, _drawn_by(display))
    markdown.inline.ruler.before("escape", "math_brackets", _inline_brackets)
    markdown.block.ruler.before("fence", "math_brackets", _block_brackets, {"alt": ["paragraph"]})


def _drawn_by(display: bool) -> Callable[..., str]:
    def draw(_renderer: object, tokens: Sequence[Token], index: int, *_: object) -> str:
        token = tokens[index]
        html = formula_html(token.content.strip(), display=display)
        return f"<p>{html}</p>\n" if token.type == "math_block" else html

    return draw


@lru_cache(maxsize=512)
def formula_html(formula: str, *, display: bool) -> str:
    """Return MathML; what cannot be read as TeX is shown as it was written."""
    if len(formula) > MAX_FORMULA:
        return _as_written(formula)
    try:
        mathml = convert(formula, display="block" if display else "inline")
    except Exception:  # noqa: BLE001  any input may come, and the converter raises whatever it likes
        return _as_written(formula)
    return _CLEANER.clean(mathml)


def _as_written(formula: str) -> str:
    return f"<code>{escape(formula)}</code>"


def _inline_brackets(state: StateInline, silent: bool) -> bool:
    opening = state.src[state.pos : state.pos + 2]
    if opening not in (r"\(", r"\["):
        return False
    end = state.src.find(r"\)" if opening == r"\(" else r"\]", state.pos + 2)
    if end < 0:
        return False
    if not silent:
        _push(
            state,
            "math_inline" if opening == r"\(" else "math_inline_double",
            state.src[state.pos + 2 : end],
        )
    state.pos = end + 2
    return True


def _block_brackets(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    if state.is_code_block(start_line) or not _line(state, start_line).startswith(r"\["):
        return False
    end = _end_of_brackets(state, start_line, end_line)
    if end is None:
        return False
    if not silent:
        lines = [_line(state, number) for number in range(start_line, end)]
        token = _push(state, "math_block", "\n".join(lines)[2:-2])
        token.block, token.map = True, [start_line, end]
    state.line = end
    return True


def _end_of_brackets(state: StateBlock, start_line: int, end_line: int) -> int | None:
    """Return the line behind the next closing bracket, None when a blank line comes before it.

    Where none was found, none is looked for again within the same list or quotation: any number of
    lines may open a formula that never ends.
    """
    in_vain: dict[tuple[int, int], int] = vars(state).setdefault("brackets_in_vain", {})
    within = (state.level, state.blkIndent)
    if start_line < in_vain.get(within, 0):
        return None
    number = start_line
    while number < end_line and (line := _line(state, number)):
        if state.sCount[number] < state.blkIndent:
            break
        number += 1
        if line.endswith(r"\]"):
            return number
    in_vain[within] = number
    return None


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]].strip()


def _push(state: StateInline | StateBlock, kind: str, formula: str) -> Any:
    token = state.push(kind, "math", 0)
    token.content = formula
    return token
