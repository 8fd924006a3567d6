"""Where the broker is and who we are: a context file of the `nats` command, one a service."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from parley_contracts.errors import Unavailable
from pydantic import BaseModel, ConfigDict, ValidationError

SCHEMES = ("nats", "tls")


def check_url(url: str) -> None:
    """Raise ValueError, with a sentence, for what is not one or several addresses of servers."""
    for each in url.split(","):
        parts = urlsplit(each if "://" in each else f"nats://{each}")
        try:
            sound = parts.scheme in SCHEMES and parts.hostname and parts.port != 0
        except ValueError:
            sound = False
        if not sound:
            raise ValueError("write it as nats://HOST:PORT, several of them with commas")


class NatsContext(BaseModel):
    """A credential. `url` is one or several, by commas, and may hold user and password instead;
    `inbox_prefix` is this user's own."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    url: str = "nats://127.0.0.1:4222"
    user: str | None = None
    password: str | None = None
    inbox_prefix: str = "_INBOX"

    @classmethod
    def read(cls, path: Path) -> NatsContext:
        """Return the context in the file; Unavailable says what is wrong with it."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            reason = error.strerror or str(error)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
        raise Unavailable(
            f"The NATS context file {path} cannot be used ({reason}); "
            "set PARLEY_NATS_CONTEXT to the one that `./parley up` wrote for this service."
        )

    @property
    def address(self) -> str:
        """Where the servers are, without user and password, for logs and people."""
        return ",".join(each.rpartition("@")[2] for each in self.url.split(","))

    def at(self, url: str | None) -> NatsContext:
        """Return this context with another server, when one is given."""
        return self.model_copy(update={"url": url}) if url else self
