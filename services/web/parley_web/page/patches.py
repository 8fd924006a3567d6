"""The patch protocol: how the server changes an open page.

A frame of the page's stream (`event: patch`) is a JSON list of patches, which the browser applies
in order, before it paints. A patch is a list: its name, mostly an element id, and content. A patch
for an id that the page does not have does nothing.

    ["append", parent, html]    put elements at the end of `parent`; those whose ids the page has
                                move there, in their new form: a patch may come twice
    ["prepend", parent, html]   the same at the beginning
    ["before", id, html]        put HTML before the element
    ["replace", id, html]       put HTML in the place of the element
    ["renew", parent, html]     put the first page of a list in the place of its beginning; what
                                the page has loaded beyond it stays
    ["remove", id]              take the element away
    ["extend", id, text]        add plain text at the end of the element
    ["announce", text]          tell people who listen to the page
    ["title", text]             name the window

Every few seconds comes an `event: ping`: a browser that hears nothing for longer connects anew.
The browser keeps what a person does: open `<details>` stay open by their ids, focus and the
place that is read stay. `static/patches.js` is the other side.
"""

from __future__ import annotations

from pydantic_core import to_json

from parley_web import sse

PING = sse.frame("ping", b"{}")
PING_S = 5.0

Patch = tuple[str, ...]


def append(parent: str, html: str) -> Patch:
    return ("append", parent, html)


def prepend(parent: str, html: str) -> Patch:
    return ("prepend", parent, html)


def before(id: str, html: str) -> Patch:
    return ("before", id, html)


def replace(id: str, html: str) -> Patch:
    return ("replace", id, html)


def renew(parent: str, html: str) -> Patch:
    return ("renew", parent, html)


def remove(id: str) -> Patch:
    return ("remove", id)


def extend(id: str, text: str) -> Patch:
    return ("extend", id, text)


def announce(text: str) -> Patch:
    return ("announce", text)


def title(text: str) -> Patch:
    return ("title", text)


def frame(patches: list[Patch]) -> bytes:
    """Return the stream's frame with these patches."""
    return sse.frame("patch", to_json(patches))
