"""What can go wrong at the terminal."""

from __future__ import annotations


class Trouble(Exception):
    """One clear sentence for the person at the terminal: what is wrong, what to do."""
