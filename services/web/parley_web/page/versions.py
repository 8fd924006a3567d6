"""Versions of a message: the sibling forks that editing and regenerating made (rule 3)."""

from __future__ import annotations

from dataclasses import dataclass

from parley_contracts.threads import Siblings, ThreadView


@dataclass(frozen=True)
class Versions:
    """Which of several versions is shown, counted from 1, and the threads of its neighbours."""

    number: int
    count: int
    previous: str | None
    next: str | None


def versions_in(view: ThreadView) -> dict[int | None, Versions]:
    """Return the versions of a view's messages by position."""
    owners = {message.position: message.thread_id for message in view.messages}
    found: dict[int | None, Versions] = {}
    for siblings in view.siblings:
        owner = owners.get(siblings.position + 1)
        shown = owner if owner in siblings.threads else view.thread.id
        if shown in siblings.threads and len(siblings.threads) > 1:
            place = siblings.position + (2 if siblings.answers else 1)
            found[place] = _versions(siblings, shown)
    return found


def _versions(siblings: Siblings, owner: str) -> Versions:
    threads = siblings.threads
    index = threads.index(owner)
    return Versions(
        number=index + 1,
        count=len(threads),
        previous=threads[index - 1] if index else None,
        next=threads[index + 1] if index + 1 < len(threads) else None,
    )
