"""Two core rules around markdown-it's inline parser: a bound on its input, and bare addresses.

Its inline rules (and the plugins that find bare addresses) take quadratic time on hostile text,
minutes for 100 kB of colons; so enormous paragraphs stay plain, and addresses are found afterwards
in the text that is left, in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

MAX_PARAGRAPH = 10_000
"""A longer paragraph is shown as it was written, in characters."""

_ADDRESS = re.compile(r"(?<![\w/])https?://[^\s<>\"]+")
_TRAILING = "?!.,:;*_~'"


def inline_plugin(markdown: MarkdownIt) -> None:
    """Put the bound in place of the inline rule and find bare addresses behind it."""
    markdown.core.ruler.at("inline", _parse_bounded)
    markdown.core.ruler.push("addresses", _link_addresses)


def _parse_bounded(state: StateCore) -> None:
    for token in state.tokens:
        if token.type != "inline":
            continue
        token.children = []
        if len(token.content) > MAX_PARAGRAPH:
            token.children.append(_text(token.content))
        else:
            state.md.inline.parse(token.content, state.md, state.env, token.children)


def _link_addresses(state: StateCore) -> None:
    for token in state.tokens:
        if token.children and "://" in token.content:
            token.children = list(_with_links(state.md, token.children))


def _with_links(markdown: MarkdownIt, tokens: list[Token]) -> Iterator[Token]:
    depth = 0
    for token in tokens:
        depth += token.nesting if token.type in ("link_open", "link_close") else 0
        if token.type == "text" and not depth and "://" in token.content:
            yield from _split(markdown, token.content)
        else:
            yield token


def _split(markdown: MarkdownIt, text: str) -> Iterator[Token]:
    end = 0
    for match in _ADDRESS.finditer(text):
        address = _trimmed(match[0])
        if not markdown.validateLink(address):
            continue
        yield _text(text[end : match.start()])
        yield Token("link_open", "a", 1, attrs={"href": markdown.normalizeLink(address)})
        yield _text(address)
        yield Token("link_close", "a", -1)
        end = match.start() + len(address)
    yield _text(text[end:])


def _trimmed(address: str) -> str:
    """Return the address without the sentence's punctuation behind it."""
    end = len(address)
    unopened = address.count(")") - address.count("(")
    while address[end - 1] in _TRAILING or (address[end - 1] == ")" and unopened > 0):
        end -= 1
        unopened -= address[end] == ")"
    return address[:end]


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)
