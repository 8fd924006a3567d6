"""A growing answer, rendered piece by piece, ends as the same HTML as the whole text at once."""

from __future__ import annotations

from html import unescape

from hypothesis import given, settings
from hypothesis import strategies as st
from parley_web.markdown import GrowingMarkdown, render

BLOCKS = [
    "Plain words, *stressed* and **strong**, `code`.",
    "Two lines\nof one paragraph\\\nwith a break",
    "# Heading",
    "Heading below\n===",
    "Lower heading\n---",
    "- one\n- two\n  - nested\n\n  loose",
    "1. first\n2. second\n\n   ```py\n   x = 1\n\n   y = 2\n   ```\n10. tenth",
    "* [x] done\n* [ ] open",
    "> quoted\n> > deeper\nlazy",
    "```python\ndef f(x):\n\n    return x  # ok\n```",
    "~~~~\n```\nnot closed by backticks\n~~~~",
    "```\nnever closed\n\n# not a heading",
    "    indented code\n\n    goes on",
    "| a | b |\n|:--|--:|\n| 1 | `2` |",
    "a | b\n-|-\n1 | 2\nthree",
    "$$\nx = \\frac{1}{2}\n- y\n$$",
    "$$\nnever closed",
    "\\[\n\\sqrt{2}\n\\]",
    "\\[ open only",
    "inline $x^2$ and \\(y_1\\) and $$z$$",
    "---",
    "***",
    "- ",
    "+\n\n  late",
    "<b>no html</b> <script>alert(1)</script>",
    "https://example.com/a?b=c. ~~gone~~ ![p](https://x.example/p.png)",
    "שלום עולם 🌍 ёжик",
    "trailing  \nspaces\t",
    "\\",
    "| not a table",
    "   three spaces",
    "\t tab",
    "&amp; &copy; \\* \\_",
]
SEPARATORS = ["\n", "\n\n", "\n\n\n", "\n \n", "\n\t\n", "\n    ", "\n  ", " ", "\r\n\r\n", "\r"]


@st.composite
def chunked_documents(draw: st.DrawFn) -> list[str]:
    """Documents of awkward blocks, cut at any characters."""
    parts = draw(
        st.lists(st.tuples(st.sampled_from(BLOCKS), st.sampled_from(SEPARATORS)), max_size=8)
    )
    text = "".join(block + separator for block, separator in parts)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def grown(chunks: list[str]) -> str:
    growing = GrowingMarkdown("open")
    html = ""
    for chunk in chunks:
        growing.append(chunk)
        html += growing.grow().closed
    return html + growing.close().closed


@settings(max_examples=200)
@given(chunked_documents())
def test_growing_text_ends_as_the_whole_text_rendered_at_once(chunks: list[str]) -> None:
    assert grown(chunks) == render("".join(chunks))


def test_every_single_character_may_be_a_piece_of_its_own() -> None:
    text = "\n\n".join(BLOCKS[:11])
    assert grown(list(text)) == render(text)


def test_a_closed_block_is_rendered_once_and_never_sent_again() -> None:
    growing = GrowingMarkdown()
    growing.append("# One\n\nTwo")
    first = growing.grow()
    assert (first.closed, first.tail) == ("", "<h3>One</h3>\n<p>Two</p>\n")
    growing.append(" goes on\n\nThree\n")
    second = growing.grow()
    assert second.closed == "<h3>One</h3>\n<p>Two goes on</p>\n"
    assert second.tail == "<p>Three</p>\n"
    growing.append("four")
    assert growing.grow().closed == ""


def test_a_half_written_line_closes_nothing() -> None:
    growing = GrowingMarkdown()
    growing.append("- item\n\nx")
    assert growing.grow().closed == ""
    growing.append(" at the margin\n")
    assert growing.grow().closed == "<ul>\n<li>item</li>\n</ul>\n"


def test_an_open_fence_grows_by_text_alone_and_is_coloured_when_it_closes() -> None:
    growing = GrowingMarkdown("code-7")
    growing.append("```python\nx = '<b>'\n")
    first = growing.grow()
    assert first.tail is not None and '<code id="code-7">x = &#x27;&lt;b&gt;' in first.tail
    growing.append("y = 2\n")
    second = growing.grow()
    assert (second.closed, second.tail, second.code) == ("", None, "y = 2\n")
    growing.append("```\n")
    third = growing.grow()
    assert third.tail is not None and '<span class="mi">2</span>' in third.tail


@settings(max_examples=100)
@given(st.lists(st.text(alphabet="ab\n `<>&\"'", min_size=1, max_size=6), max_size=12))
def test_pieces_of_an_open_fence_join_to_its_code(pieces: list[str]) -> None:
    growing = GrowingMarkdown("code")
    growing.append("`````\n")
    shown = ""
    pieces.append("\n")  # the blanks of an unfinished line are held back until it goes on
    for piece in pieces:
        growing.append(piece)
        growth = growing.grow()
        if growth.tail is not None:
            shown = unescape(growth.tail.split('<code id="code">')[1].split("</code>")[0])
        shown += growth.code
    assert shown == "".join(pieces)


def test_a_link_defined_before_its_use_works_across_closed_blocks() -> None:
    text = "[home]: https://example.com\n\nfirst\n\nsecond [home]\n\nthird"
    assert 'href="https://example.com"' in grown(list(text))
    assert grown(list(text)) == render(text)


def test_a_half_written_link_definition_is_not_taken_for_the_whole() -> None:
    growing = GrowingMarkdown()
    growing.append("see [home]\n\n[home]: https://exam")
    assert "https://exam" in (growing.grow().tail or "")
    growing.append("ple.com\n\n[home]")
    assert growing.close().closed.count('href="https://example.com"') == 2
