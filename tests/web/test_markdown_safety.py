"""What a model writes is text: nothing of it runs, loads, or leaves its message."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parley_web.markdown import GrowingMarkdown, render

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](data:text/html,<script>1</script>)",
    "[x](vbscript:x)",
    "[x](&#106;avascript:alert(1))",
    "<javascript:alert(1)>",
    "[x]: javascript:alert(1)\n\n[x]",
    "![x](https://evil.example/pixel.png)",
    '![x"onload="y](https://evil.example/"onerror="z)',
    "![x](data:image/svg+xml,<svg onload=alert(1)>)",
    "<iframe src=//evil.example></iframe>",
    "<style>*{display:none}</style>",
    "<form action=/api/logout><button>x</button></form>",
    '```" onclick="alert(1)\nx\n```',
    "```<script>\n</code></pre><script>alert(1)</script>\n```",
    r"$\text{<img src=x onerror=alert(1)>}$",
    r"$$\href{javascript:alert(1)}{x}$$",
    r"\[ \text{</math><script>alert(1)</script>} \]",
    "`<b>`",
    '[x](https://a.example "</a><script>")',
    "| <script> |\n|--|\n| ![x](http://e.example) |",
    "<a href=https://a.example onclick=x>y</a>",
    "[settings](/api/sessions)",
    "//evil.example www.evil.example/<script>",
]

NAMES = (
    "p br hr h3 h4 h5 h6 em strong s code pre blockquote ul ol li a div span button input "
    "table thead tbody tr th td "
    "math mrow mi mn mo mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover "
    "mtable mtr mtd mstyle mpadded mphantom menclose mmultiscripts none"
)
ELEMENTS = frozenset(NAMES.split())


class Page(HTMLParser):
    """Reads HTML as a browser would and fails at whatever must not be there."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.depth = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ELEMENTS
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in ("style", "src", "srcset", "action", "formaction", "id", "name")
            if name == "href":
                assert value and re.match(r"(https?|mailto|tel):", value)
                self.links.append(value)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    Page(render(text))
    growing = GrowingMarkdown()
    growing.append(text)
    Page(growing.grow().tail or "")


@settings(max_examples=200)
@given(st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=8)), max_size=5))
def test_any_mixture_of_hostile_text_stays_text(pieces: list[str]) -> None:
    Page(render("".join(pieces)))
    Page(render("\n\n".join(pieces)))


def test_script_and_html_are_shown_as_they_were_written() -> None:
    html = render("<script>alert(1)</script> and <b>bold</b>")
    assert html == ("<p>&lt;script&gt;alert(1)&lt;/script&gt; and &lt;b&gt;bold&lt;/b&gt;</p>\n")


def test_a_javascript_link_is_shown_as_it_was_written() -> None:
    assert render("[x](javascript:alert(1))") == "<p>[x](javascript:alert(1))</p>\n"


def test_a_remote_image_becomes_a_link() -> None:
    html = render("![a cat](https://example.com/cat.png)")
    assert "<img" not in html
    assert 'class="image" href="https://example.com/cat.png"' in html
    assert ">a cat</a>" in html


def test_links_open_elsewhere_and_tell_nothing_of_this_page() -> None:
    html = render("https://example.com")
    assert 'target="_blank"' in html
    assert 'rel="noopener noreferrer nofollow"' in html


def test_code_keeps_every_character_and_is_coloured() -> None:
    html = render("```python\n\n  x = '<&>'\t# ü\n\n```")
    assert '<span class="language">python</span>' in html
    code = html.partition("<code>")[2].partition("</code>")[0]
    assert unescape(re.sub(r"<[^>]+>", "", code)) == "\n  x = '<&>'\t# ü\n\n"


def test_mathematics_becomes_mathml_and_prices_stay_prices() -> None:
    html = render("It costs $5 or $6.\n\n$e^{i\\pi}$ and \\(x_1\\)\n\n$$\n\\frac{a}{b}\n$$")
    assert "costs $5 or $6." in html
    assert html.count('<math display="inline">') == 2
    assert html.count('<math display="block">') == 1


@pytest.mark.parametrize("formula", [r"\frac{", "{" * 3_000, "x" * 6_000, r"\left( x", "^"])
def test_a_broken_formula_is_shown_as_it_was_written(formula: str) -> None:
    html = render(f"$${formula}$$")
    assert f"<code>{formula}</code>" in html


def test_deep_nesting_ends() -> None:
    Page(render("> " * 3_000 + "x"))
    Page(render("- " * 3_000 + "x"))
    Page(render("[" * 3_000 + "x" + "]" * 3_000))
    Page(render("*" * 5_000 + "x"))
