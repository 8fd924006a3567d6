"""Text from outside made fit to be stored: whatever a model or tool writes, Parley can keep.

PostgreSQL takes no NUL, and UTF-8 no half of a surrogate pair, which some servers send when they
cut a character in two. Everything else stays as it was written.
"""

from __future__ import annotations

REPLACEMENT = "\ufffd"


def sound(text: str) -> str:
    """Return the text without NUL, its surrogate pairs joined and lone halves replaced."""
    if text.isascii():
        return text.replace("\x00", "") if "\x00" in text else text
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\x00", "")


class Mender:
    """Makes sound what comes piece by piece: half a surrogate pair waits for its other half."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """Return what can be passed on now."""
        if not self._held and piece.isascii():
            return sound(piece)
        piece = self._held + piece
        self._held = piece[-1:] if "\ud800" <= piece[-1:] <= "\udbff" else ""
        return sound(piece.removesuffix(self._held))

    def rest(self) -> str:
        """Return what was held back until the end."""
        held, self._held = self._held, ""
        return sound(held)


def shortened(text: str, limit: int) -> str:
    """Return the text in at most about `limit` UTF-8 bytes: its head, a marker, its tail."""
    encoded = text.encode()
    if len(encoded) <= limit:
        return text
    half = limit // 2
    head = encoded[:half].decode(errors="ignore")
    tail = encoded[-half:].decode(errors="ignore")
    left_out = len(encoded) - 2 * half
    return f"{head}\n[… {left_out} bytes left out …]\n{tail}"
