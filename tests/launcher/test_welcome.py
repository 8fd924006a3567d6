"""The addresses that `up` prints."""

from __future__ import annotations

import pytest
from parley_launcher import welcome
from parley_launcher.welcome import urls_of


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:4000"),
        ("::1", "http://[::1]:4000"),
        ("parley.local", "http://parley.local:4000"),
    ],
)
def test_the_page_has_the_address_that_it_listens_on(host: str, url: str) -> None:
    assert urls_of(host, 4000) == [url]


@pytest.mark.parametrize(("host", "own"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]")])
def test_who_listens_to_all_is_also_told_the_address_in_the_network(
    host: str, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(welcome, "_network_address", lambda: "192.168.1.7")
    assert urls_of(host, 4000) == [f"http://{own}:4000", "http://192.168.1.7:4000"]


def test_a_machine_without_a_network_has_its_own_address_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(welcome, "_network_address", lambda: None)
    assert urls_of("0.0.0.0", 4000) == ["http://127.0.0.1:4000"]
