"""The AsyncAPI 3 document and the JSON Schemas, made from this package's models and tables.

`python docs/generate.py` writes them into docs/; a test fails when they are stale.
"""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from parley_contracts.catalog import CatalogEntry
from parley_contracts.errors import Problem
from parley_contracts.events import AnyEvent
from parley_contracts.operations import OPERATIONS, Operation
from parley_contracts.subjects import CATALOG_BUCKET, EVENTS, TURNS, cancel_subject
from parley_contracts.turns import TurnSlot

VERSION = "1.0.0"
"""Of the wire format: the minor number grows with additions, the major with anything else."""

_SCHEMAS = "#/components/schemas/"
_JSON = dict[str, Any]


def event_models() -> tuple[type[BaseModel], ...]:
    """Return the model of every kind of event."""
    return get_args(get_args(AnyEvent)[0])


def reply_models(operation: Operation[Any, Any]) -> tuple[type[BaseModel], ...]:
    """Return the models a reply may have: one, or the members of a union."""
    union = get_args(operation.reply)
    return get_args(union[0]) if union else (operation.reply,)


def schemas() -> _JSON:
    """Return the JSON Schemas of all messages, by model name (`$defs` of one document)."""
    models: set[type[BaseModel]] = {TurnSlot, CatalogEntry, Problem, *event_models()}
    for operation in OPERATIONS:
        models |= {operation.request, *reply_models(operation)}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, document = models_json_schema(
        [(model, "serialization") for model in ordered], ref_template=_SCHEMAS + "{model}"
    )
    return dict(sorted(document["$defs"].items()))


def document() -> _JSON:
    """Return the AsyncAPI 3 document as a JSON value."""
    channels: _JSON = {}
    operations: _JSON = {}
    for operation in OPERATIONS:
        _add_request(operation, channels, operations)
    for model in event_models():
        _add_stream(model, channels, operations)
    _add_slots(channels, operations)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Parley on NATS",
            "version": VERSION,
            "description": "Requests to the gateway, the slots that workers pull, and the events.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"schemas": schemas()},
    }


def _message(model: type[BaseModel]) -> _JSON:
    return {"name": model.__name__, "payload": {"$ref": _SCHEMAS + model.__name__}}


def _channel(address: str | None, models: tuple[type[BaseModel], ...], description: str) -> _JSON:
    channel: _JSON = {"address": address, "description": description}
    channel["messages"] = {model.__name__: _message(model) for model in models}
    if address and (names := [part[1:-1] for part in address.split(".") if part[0] == "{"]):
        channel["parameters"] = {name: {"description": name.replace("_", " ")} for name in names}
    return channel


def _operation(action: str, channel: str, summary: str) -> _JSON:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}


def _add_request(operation: Operation[Any, Any], channels: _JSON, operations: _JSON) -> None:
    name, reply = operation.name, f"{operation.name}.reply"
    channels[name] = _channel(operation.subject, (operation.request,), operation.summary)
    channels[reply] = _channel(
        None, (*reply_models(operation), Problem), "The answer, on the caller's inbox."
    )
    operations[name] = _operation("receive", name, operation.summary) | {
        "reply": {
            "address": {"location": "$message.header#/reply"},
            "channel": {"$ref": f"#/channels/{reply}"},
        }
    }


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().split("\n")[0]


def _add_stream(model: type[BaseModel], channels: _JSON, operations: _JSON) -> None:
    kind: str = model.model_fields["kind"].default
    name = f"events.{kind}"
    address = EVENTS.subject("{thread_id}", kind)
    channels[name] = _channel(address, (model,), _first_line(model))
    operations[name] = _operation("send", name, _first_line(model))


def _add_slots(channels: _JSON, operations: _JSON) -> None:
    slot = f"{TURNS.name}: at most one message a subject."
    channels["turns"] = _channel(TURNS.subject("{thread_id}"), (TurnSlot,), slot)
    operations["turns"] = _operation("send", "turns", "Put a thread's open turn into its slot.")
    stop = "Tells running workers at once that a turn is to stop; the body is empty."
    channels["control.cancel"] = _channel(cancel_subject("{turn_id}"), (), stop)
    operations["control.cancel"] = _operation("send", "control.cancel", stop)
    catalog = f"The key-value bucket {CATALOG_BUCKET}: what each live worker can do."
    address = f"$KV.{CATALOG_BUCKET}.worker.{{worker_id}}"
    channels["catalog"] = _channel(address, (CatalogEntry,), catalog)
    operations["catalog"] = _operation("send", "catalog", catalog)
