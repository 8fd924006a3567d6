"""A provider: one OpenAI-compatible server, where it is and how it likes to be spoken to."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Provider:
    """`remedy` is the sentence that tells the owner how to put a wrong address or key right."""

    name: str
    base_url: str
    api_key: str = field(default="", repr=False)
    remedy: str = ""
    takes_reasoning: bool = False
    """Whether an assistant message may carry the reasoning of its turn back to the server."""
    takes_session: bool = False
    """Whether the server uses X-Session-ID to keep a conversation on one slot."""
    connect_s: float = 5.0
    first_chunk_s: float = 600.0
    """Loading a large model takes its time."""
    idle_s: float = 240.0

    @property
    def on_this_machine(self) -> bool:
        """Whether the server is reached over loopback, where no proxy belongs in between."""
        host = urlsplit(self.base_url).hostname or ""
        return host in ("localhost", "::1") or host.startswith("127.")


def with_version(url: str) -> str:
    """Return the base URL with the usual `/v1` when it names a server alone."""
    url = url.rstrip("/")
    return url if urlsplit(url).path else f"{url}/v1"
