"""What each service may publish and subscribe to on NATS: its own subjects and nothing else.

One table serves every kind of installation; whoever starts the broker turns it into users.
"""

from __future__ import annotations

from dataclasses import dataclass

from parley_contracts.subjects import CATALOG_BUCKET, EVENTS, RPC, TURNS

_KV = f"KV_{CATALOG_BUCKET}"


@dataclass(frozen=True)
class Permissions:
    """Subjects a credential may use. `responds`: may answer requests that it received."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    deny_publish: tuple[str, ...] = ()
    responds: bool = False


def inbox(service: str) -> str:
    """Return the prefix of a service's reply subjects; no other service may listen there."""
    return f"_INBOX.{service}"


def _rpc(*names: str) -> tuple[str, ...]:
    return tuple(f"{RPC}.{name}" for name in names)


_READ_EVENTS = (
    f"$JS.API.STREAM.INFO.{EVENTS.name}",
    f"$JS.API.DIRECT.GET.{EVENTS.name}",
    f"$JS.API.CONSUMER.CREATE.{EVENTS.name}.*",
    f"$JS.API.CONSUMER.MSG.NEXT.{EVENTS.name}.*",
    f"$JS.API.CONSUMER.DELETE.{EVENTS.name}.*",
)
_READ_CATALOG = (f"$JS.API.DIRECT.GET.{_KV}",)

SERVICES: dict[str, Permissions] = {
    "gateway": Permissions(
        publish=(
            "parley.events.>",
            "parley.turns.*",
            "parley.deliveries.*.*",
            "parley.control.cancel.*",
            "$JS.API.>",
        ),
        subscribe=(f"{RPC}.>", "$SRV.>", f"{inbox('gateway')}.>"),
        responds=True,
    ),
    "agent-worker": Permissions(
        publish=(
            *_rpc("turns.begin", "turns.history", "turns.record_step", "turns.finish"),
            *_rpc("turns.release", "workers.beat", "threads.name", "letters.keep"),
            "parley.events.*.*",
            f"$JS.API.CONSUMER.MSG.NEXT.{TURNS.name}.{TURNS.durable}",
            f"$JS.ACK.{TURNS.name}.{TURNS.durable}.>",
            f"$KV.{CATALOG_BUCKET}.worker.*",
        ),
        subscribe=("parley.control.cancel.*", f"{inbox('agent-worker')}.>"),
    ),
    "web": Permissions(
        publish=(
            *_rpc("threads.*", "messages.*", "agents.*", "sessions.*", "system.*"),
            *_rpc("turns.get", "turns.cancel", "turns.retry", "turns.decide"),
            *_rpc("letters.list", "letters.get", "letters.remove"),
            "parley.control.cancel.*",
            *_READ_EVENTS,
            *_READ_CATALOG,
        ),
        subscribe=(f"{inbox('web')}.>",),
    ),
    "owner": Permissions(
        publish=(f"{RPC}.>", "$JS.API.>", "$JS.FC.>", "$SRV.>"),
        deny_publish=_rpc("providers.keys"),
        subscribe=("parley.>", "$SRV.>", "$JS.EVENT.>", f"{inbox('owner')}.>"),
    ),
}
"""By service; `owner` is the person at the terminal and the launcher's own commands."""
