"""Markdown as untrusted models write it → HTML that is safe to show, whole or while it grows."""

from parley_web.markdown.incremental import GrowingMarkdown
from parley_web.markdown.renderer import render

__all__ = ["GrowingMarkdown", "render"]
