"""The list of threads as one page shows it: who is busy, what is new, in the order of activity.

The versions of a thread, its family, are one entry: the version that was used last.
"""

from __future__ import annotations

from parley_contracts.threads import Thread, ThreadList

from parley_web.page import markup, patches
from parley_web.page.patches import Patch


class Sidebar:
    """The state of a page's list of threads; `current` is the family that the page shows."""

    def __init__(self, page: ThreadList, current: str | None) -> None:
        self._current = current
        self.read(page)

    def read(self, page: ThreadList) -> None:
        """Take the newest page of the list as it is now."""
        self._cursor = page.cursor
        self._threads = {family_of(thread): thread for thread in page.threads}

    def known(self, thread_id: str) -> Thread | None:
        """Return a listed thread."""
        found = (each for each in self._threads.values() if each.id == thread_id)
        return next(found, None)

    def whole(self) -> list[Patch]:
        """Return what brings any page to this state; what it has loaded beyond stays."""
        page = ThreadList(threads=tuple(self._threads.values()), cursor=self._cursor)
        return [patches.renew("threads", markup.thread_list(page, self._current))]

    def put(self, thread: Thread, *, first: bool = False) -> list[Patch]:
        """Show a thread as it is now: in its place, or at the top when it is `first`."""
        family = family_of(thread)
        known = self._threads.get(family)
        if known and _is_older(thread, known):
            return []
        if thread.status != "active":
            self._threads.pop(family, None)
            return [patches.remove(f"thread-{family}")]
        item = markup.thread_item(thread, self._current)
        if first:
            self._threads = {family: thread} | self._threads
            return [patches.prepend("threads", item)]
        if known:
            self._threads[family] = thread
            return [patches.replace(f"thread-{family}", item)]
        return self._insert(thread, item)

    def busy(self, thread_id: str, turn_id: str | None) -> list[Patch]:
        """Show that a turn runs in a listed thread, or that none does."""
        known = self.known(thread_id)
        if known is None or known.open_turn == turn_id:
            return []
        return self.put(known.model_copy(update={"open_turn": turn_id}))

    def ended(self, thread_id: str, turn_id: str) -> list[Patch]:
        """Show that a turn has ended, unless another one runs already."""
        known = self.known(thread_id)
        return self.busy(thread_id, None) if known and known.open_turn == turn_id else []

    def _insert(self, thread: Thread, item: str) -> list[Patch]:
        """Show a thread that is not listed where its activity puts it, which may be beyond."""
        family = family_of(thread)
        later = [each for each in self._threads.values() if each.active_at < thread.active_at]
        if later:
            self._threads[family] = thread
            newest = max(later, key=lambda each: each.active_at)
            return [patches.before(f"thread-{family_of(newest)}", item)]
        if self._cursor:
            return [patches.replace(f"thread-{family}", item)]
        self._threads[family] = thread
        return [patches.append("threads", item)]


def family_of(thread: Thread) -> str:
    """Return what the versions of a thread have in common."""
    return thread.family or thread.id


def _is_older(thread: Thread, known: Thread) -> bool:
    if thread.id == known.id:
        return thread.rev < known.rev
    return thread.active_at < known.active_at
