"""What the environment tells a worker, and how it is told what is wrong there."""

from __future__ import annotations

import pytest
from parley_agent_worker.settings import WorkerSettings
from parley_contracts.errors import Invalid


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("LOCAL_BASE_URL", "not a url", "write it as http://HOST:PORT/v1"),
        ("OPENAI_BASE_URL", "ftp://x", "write it as http://HOST:PORT/v1"),
        ("OPENAI_BASE_URL", "http://x:port/v1", "write it as http://HOST:PORT/v1"),
        ("PARLEY_DEFAULT_MODEL", "nonsense", "it must be a provider and a model, such as"),
        ("PARLEY_TURNS_PER_WORKER", "many", "it must be a whole number"),
    ],
)
def test_a_wrong_setting_is_named_with_what_to_write(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv("PARLEY_NATS_CONTEXT", "unused")
    monkeypatch.setenv(variable, value)
    with pytest.raises(Invalid, match=f"{variable} is wrong: {words}"):
        WorkerSettings()
