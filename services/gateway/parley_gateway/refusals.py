"""Tells a stream that takes nothing any more from one that once was slow."""

from __future__ import annotations


class Refusals:
    """Counts the rounds in which a stream took nothing of what it was given."""

    def __init__(self) -> None:
        self._rounds = 0
        self._refused = False

    def add(self) -> None:
        """It has not taken what it was given."""
        self._refused = True

    def clear(self) -> None:
        """It has taken something, or nobody can say that the stream is to blame."""
        self._rounds, self._refused = 0, False

    def end_round(self) -> int:
        """End a round; return how many in a row brought refusals and nothing else.

        A round in which nothing was given tells nothing, and is not counted.
        """
        self._rounds += self._refused
        self._refused = False
        return self._rounds
