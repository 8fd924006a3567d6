"""A whole document: markdown-it (no HTML) → our markup → nh3, the wall that nothing unsafe passes.

Every element, attribute and class that can reach the page is listed here. Remote images become
links: loading them would tell their server what is read, and when.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from parley_web.markdown import highlight, inline, mathematics
from parley_web.markdown.budget import Budget, OutOfTime

PARSING_S = 0.5
"""Time of the processor for the Markdown of one message; prose that takes as long has 500 kB."""

_FIRST_HEADING = 3
"""The page has its own h1 and h2; an answer's first heading is an h3, whatever it is written as."""


class _Renderer(RendererHTML):
    """markdown-it's renderer with our code blocks, tables, headings and images."""

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        language = tokens[idx].info.strip().partition(" ")[0]
        budget = env.setdefault("colouring", Budget(highlight.COLOURING_S))
        body = highlight.coloured(tokens[idx].content, language, budget)
        return code_frame(body or escape(tokens[idx].content), language) + "\n"

    def code_block(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return code_frame(escape(tokens[idx].content), "") + "\n"

    def list_item_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        label = "done" if tokens[idx].meta.get("checked") else "to do"
        opening = super().list_item_open(tokens, idx, options, env)
        return opening.replace("<input ", f'<input aria-label="{label}" ')

    def table_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return '<div class="table" tabindex="0">\n<table>\n'

    def table_close(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return "</table>\n</div>\n"

    def th_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return _cell(tokens[idx])

    td_open = th_open

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[idx]
        source = str(token.attrs.get("src", ""))
        words = self.renderInlineAsText(token.children, options, env) or source
        return f'<a class="image" href="{escape(source)}">{escape(words)}</a>'


def code_frame(body: str, language: str, code_id: str = "") -> str:
    """Return a code block: a bar with its language and a copy button, then the HTML `body`."""
    name = f' id="{escape(code_id)}"' if code_id else ""
    return (
        f'<div class="code"><div class="bar"><span class="language">{escape(language)}</span>'
        '<button class="copy" type="button">Copy</button></div>'
        f'<pre tabindex="0"><code{name}>{body}</code></pre></div>'
    )


def _cell(token: Token) -> str:
    """Return a cell's start tag; `align` because the page forbids inline styles."""
    side = str(token.attrs.get("style", "")).removeprefix("text-align:")
    return f'<{token.tag} align="{side}">' if side else f"<{token.tag}>"


def _rank_headings(state: StateCore) -> None:
    """Number the headings from the first one on; `env` carries it on where a text grows."""
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            written = int(token.tag[1])
            rank = written - state.env.setdefault("first_heading", written)
            token.tag = f"h{max(_FIRST_HEADING, min(6, _FIRST_HEADING + rank))}"


def _parser() -> MarkdownIt:
    options: dict[str, Any] = {"html": False, "breaks": True, "tasklists": True, "xhtmlOut": False}
    markdown = MarkdownIt("commonmark", options, renderer_cls=_Renderer)
    markdown.enable(["table", "strikethrough"])
    mathematics.mathematics_plugin(markdown)
    inline.inline_plugin(markdown)
    markdown.core.ruler.push("headings", _rank_headings)
    markdown.render("<https://x>")  # fills the tables that it keeps; the alarm may come later
    return markdown


PARSER = _parser()

_TAGS = (
    "p br hr h3 h4 h5 h6 em strong s code pre blockquote ul ol li a div span button input "
    "table thead tbody tr th td"
)
_CLEANER = nh3.Cleaner(
    tags={*_TAGS.split(), *mathematics.TAGS},
    attributes={
        **mathematics.ATTRIBUTES,
        "a": {"href", "title"},
        "ol": {"start"},
        "input": {"checked", "disabled"},
    },
    tag_attribute_values={
        "button": {"type": {"button"}},
        "input": {"type": {"checkbox"}, "aria-label": {"done", "to do"}},
        "pre": {"tabindex": {"0"}},
        "div": {"tabindex": {"0"}},
        "th": {"align": {"left", "center", "right"}},
        "td": {"align": {"left", "center", "right"}},
    },
    set_tag_attribute_values={"a": {"target": "_blank"}, "input": {"disabled": ""}},
    allowed_classes={
        "span": {*highlight.CLASSES, "language"},
        "div": {"code", "bar", "table"},
        "button": {"copy"},
        "a": {"image"},
        "ul": {"contains-task-list"},
        "li": {"task-list-item"},
    },
    url_schemes={"http", "https", "mailto", "tel"},
    url_relative="deny",
    link_rel="noopener noreferrer nofollow",
)


def sanitized(html: str) -> str:
    """Return `html` with everything taken out that is not listed above."""
    return _CLEANER.clean(html)


def parsed(text: str, env: EnvType) -> list[Token]:
    """Return the tokens of a text; one that takes too long is shown as it was written."""
    try:
        with Budget(PARSING_S):
            return PARSER.parse(text, env)
    except OutOfTime:
        return [Token("code_block", "code", 0, content=text)]


def html_of(tokens: Sequence[Token], env: EnvType) -> str:
    """Return the safe HTML of tokens; the code of all that share an `env` is coloured in time."""
    return sanitized(PARSER.renderer.render(tokens, PARSER.options, env))


def render(text: str) -> str:
    """Return the safe HTML of a whole Markdown document."""
    env: dict[str, Any] = {}
    return html_of(parsed(text, env), env)
