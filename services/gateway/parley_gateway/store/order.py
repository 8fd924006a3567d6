"""The order in which commits are announced: on each thread that in which they were made.

A thread's lock ends with the commit, before the command that held it can tell of it: the next one
could be the first to tell.
"""

from __future__ import annotations

from threading import Condition


class CommitOrder:
    """`enter` while the locks are held, `wait` after the commit, `leave` when it is announced."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._under_way: dict[object, set[str | None]] = {}

    def enter(self, commit: object, threads: set[str | None]) -> None:
        """Take a place behind whoever is about to commit, or has, on the same threads."""
        with self._changed:
            self._under_way[commit] = threads

    def wait(self, commit: object) -> None:
        """Return when all commits before this one on its threads are announced."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_next(commit))

    def leave(self, commit: object) -> None:
        """Let others go on, whether this one was announced or came to nothing."""
        with self._changed:
            self._under_way.pop(commit, None)
            self._changed.notify_all()

    def _is_next(self, commit: object) -> bool:
        wanted = self._under_way[commit]
        for each, threads in self._under_way.items():
            if each is commit:
                return True
            if threads & wanted:
                return False
        return True
