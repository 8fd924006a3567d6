"""The page's markup: one function an element, over the macros in `templates/parts/`.

Everything that a template puts out is escaped, except what it marks as safe itself: rendered
Markdown, and elements that these functions made.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from parley_contracts.messages import Message, ReasoningPart, ToolPart
from parley_contracts.threads import Thread, ThreadList

from parley_web import markdown
from parley_web.page.calls import ToolCall
from parley_web.page.finding import marked
from parley_web.page.people import People, Person
from parley_web.page.versions import Versions

_MEMORABLE = 50_000
"""Longer texts are rendered anew each time, in characters."""
Gap = tuple[int, int]
"""Messages that a page does not have: those after one position and before another."""


def page(template: str, **context: Any) -> str:
    """Return a whole page."""
    return _ENVIRONMENT.get_template(template).render(context)


def text(id: str, html: str) -> str:
    """Return the element of rendered Markdown."""
    return _part("message", "text", id, html)


def tail(id: str, html: str) -> str:
    """Return the open end of growing Markdown."""
    return _part("message", "tail", id, html)


def reasoning(key: str, thoughts: str, *, running: bool) -> str:
    """Return what a model thinks aloud."""
    return _part("message", "reasoning", key, thoughts, running)


def tool(call: ToolCall) -> str:
    """Return a tool call."""
    return _part("message", "tool", call)


def answer(turn_id: str, author: Person, state: str, body: str) -> str:
    """Return the article of a running answer around its segments."""
    return _part("message", "answer", turn_id, author, state, body)


def working(turn_id: str, state: str) -> str:
    """Return the line that shows that an answer goes on, and with what."""
    return _part("message", "working", turn_id, state)


def message(message: Message, people: People, versions: Versions | None) -> str:
    """Return the article of a message that has its position."""
    if message.role == "user":
        return _part("message", "question", message, versions)
    return _part("message", "reply", message, people[message.agent_id], versions)


def waiting(message: Message, queued: bool) -> str:
    """Return the article of a message that has no position yet."""
    return _part("message", "waiting", message, queued)


def messages(articles: Iterable[str], before: int | None) -> str:
    """Return the list of settled messages; `before` a position there are more."""
    return _part("thread", "messages", articles, before)


def older(articles: Iterable[str], before: int | None, gap: Gap | None = None) -> str:
    """Return a page of older messages, with the way to the ones before and after them."""
    return _part("thread", "older", articles, before, gap)


def between(articles: Iterable[str], gap: Gap | None) -> str:
    """Return messages, and what stands for those of the gap after them."""
    return _part("thread", "between", articles, gap)


def running(answer: str) -> str:
    """Return the place of the running answer, with it when there is one."""
    return _part("thread", "running", answer)


def queue(articles: Iterable[str]) -> str:
    """Return the messages that wait."""
    return _part("thread", "queue", articles)


def heading(thread: Thread) -> str:
    """Return a thread's title and what it is."""
    return _part("thread", "heading", thread)


def choices(thread: Thread) -> str:
    """Return what can be done with a thread."""
    return _part("thread", "choices", thread)


def agents(people: People, chosen: str | None) -> str:
    """Return the choice of who answers."""
    return _part("composer", "agents", people, chosen)


def controls(turn_id: str | None) -> str:
    """Return the buttons of the composer; with Stop while a turn runs."""
    return _part("composer", "controls", turn_id)


def paused(held: int) -> str:
    """Return the question whether a queue that Stop paused shall go on; it holds so many."""
    return _part("composer", "paused", held)


def notice(*, connected: bool) -> str:
    """Return what is said while no model is connected."""
    return _part("composer", "notice", connected)


def thread_item(thread: Thread, current: str | None) -> str:
    """Return a thread's entry in the list; `current` is the family of the open one."""
    return _part("threads", "item", thread, current)


def thread_list(page: ThreadList, current: str | None) -> str:
    """Return the entries of the list of threads."""
    return _part("threads", "entries", page, "active", None, current)


def thread_entries(page: ThreadList, status: str, query: str | None) -> str:
    """Return a page of threads that were looked for, or of the list beyond its beginning."""
    macro = "found" if query or status != "active" else "entries"
    return _part("threads", macro, page, status, query, None)


def remember(message: Message) -> None:
    """Render a settled message's Markdown, which every page that shows it then has ready."""
    for each in message.parts or (message,):
        if message.role == "agent" and not isinstance(each, ToolPart | ReasoningPart):
            _rendered(each.text)


@lru_cache(maxsize=1024)
def _remembered(text: str) -> str:
    return markdown.render(text)


def _rendered(text: str) -> str:
    return _remembered(text) if len(text) <= _MEMORABLE else markdown.render(text)


def _duration(milliseconds: int) -> str:
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    return f"{milliseconds / 1000:.1f} s"


def _part(template: str, macro: str, *arguments: Any) -> str:
    module = _ENVIRONMENT.get_template(f"parts/{template}.html").module
    return str(getattr(module, macro)(*arguments)).strip()


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("parley_web"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        auto_reload=False,
    )
    environment.filters.update(
        markdown=_rendered, duration=_duration, tool_call=ToolCall.of, marked=marked
    )
    return environment


_ENVIRONMENT = _environment()
