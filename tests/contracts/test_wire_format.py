"""The wire format is a promise: golden files show it, readers tolerate what they do not know."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_contracts import asyncapi, errors, messages
from parley_contracts.base import MAX_TEXT, Contract
from parley_contracts.operations import OPERATIONS
from parley_contracts.permissions import SERVICES
from pydantic import ValidationError

HERE = Path(__file__).parent


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SAMPLES: dict[str, Contract] = {
    type(each).__name__: each for each in load(HERE / "samples.py").SAMPLES
}


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_what_is_written_is_the_golden_file(name: str) -> None:
    golden = json.loads((HERE / "golden" / f"{name}.json").read_text(encoding="utf-8"))
    assert json.loads(SAMPLES[name].encode()) == golden


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_golden_file_with_unknown_fields_is_read(name: str) -> None:
    golden = json.loads((HERE / "golden" / f"{name}.json").read_text(encoding="utf-8"))
    newer = json.dumps(golden | {"a_field_of_tomorrow": {"deep": [1]}})
    assert type(SAMPLES[name]).model_validate_json(newer) == SAMPLES[name]


def test_every_message_on_the_wire_has_a_golden_file() -> None:
    on_the_wire = {model.__name__ for model in asyncapi.event_models()}
    for operation in OPERATIONS:
        on_the_wire |= {operation.request.__name__}
        on_the_wire |= {model.__name__ for model in asyncapi.reply_models(operation)}
    assert on_the_wire <= set(SAMPLES)
    assert {path.stem for path in (HERE / "golden").iterdir()} == set(SAMPLES)


def test_the_generated_documents_are_fresh() -> None:
    generate = load(HERE.parents[1] / "docs" / "generate.py")
    stale = [path.name for path, text in generate.rendered().items() if path.read_text() != text]
    assert not stale, "run `python docs/generate.py`"


def test_every_reference_in_the_asyncapi_document_resolves() -> None:
    document = asyncapi.document()

    def walk(node: object) -> None:
        if isinstance(node, dict):
            if isinstance(ref := node.get("$ref"), str):
                target: object = document
                for part in ref.removeprefix("#/").split("/"):
                    assert isinstance(target, dict)
                    target = target[part]
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(document)


def test_every_contract_explains_itself() -> None:
    unexplained = [
        name for name, schema in asyncapi.schemas().items() if not schema.get("description")
    ]
    assert not unexplained


def test_every_operation_may_be_requested_by_some_service() -> None:
    allowed = {subject for each in SERVICES.values() for subject in each.publish}
    for operation in OPERATIONS:
        noun = operation.subject.rsplit(".", 1)[0]
        assert {operation.subject, f"{noun}.*"} & allowed, operation.name


@given(st.text(min_size=1, max_size=300).filter(lambda text: "\x00" not in text and text.strip()))
def test_text_survives_as_it_was_written(text: str) -> None:
    sent = messages.SendMessage(thread_id="t", text=text)
    assert messages.SendMessage.model_validate_json(sent.encode()).text == text


@pytest.mark.parametrize("text", ["", " \n\t", "a\x00b", "x" * (MAX_TEXT + 1)])
def test_text_that_cannot_be_accepted_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        messages.SendMessage(thread_id="t", text=text)


@pytest.mark.parametrize(
    "request_for", [messages.SendMessage, messages.EditMessage, messages.RegenerateMessage]
)
def test_a_channel_is_a_short_word_wherever_a_message_comes_in(request_for: type[Contract]) -> None:
    fields = {"id": "m", "thread_id": "t", "text": "x"}
    request_for.model_validate({**fields, "channel": "x" * 40})
    with pytest.raises(ValidationError):
        request_for.model_validate({**fields, "channel": "x" * 41})


@pytest.mark.parametrize(
    "kind",
    [each for each in errors.ParleyError.__subclasses__() if each.__module__ == errors.__name__],
)
def test_an_error_crosses_the_border_and_is_the_same_error(kind: type[errors.ParleyError]) -> None:
    there = errors.error_from(kind("Why.", kind="special", field="name").problem())
    assert (type(there), there.detail, there.kind, there.field) == (kind, "Why.", "special", "name")
