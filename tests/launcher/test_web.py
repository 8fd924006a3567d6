"""The owner's calls at the page: to it alone, and each failure is a sentence."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import House
from parley_launcher.errors import Trouble
from parley_launcher.folder import DataFolder
from parley_launcher.models import found
from parley_launcher.web import Web


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[DataFolder]:
    """The folder of a house whose page takes calls and never answers."""
    folder = DataFolder(tmp_path / "data")
    folder.make()
    folder.token.write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as page, folder.locked():
        folder.run.write_text(f'{{"url": "http://127.0.0.1:{page.getsockname()[1]}"}}')
        yield folder


def test_a_page_that_says_nothing_is_named(silent: DataFolder) -> None:
    with pytest.raises(Trouble, match=r"the page has said nothing for 0\.01 s"):
        Web(silent, timeout=0.01).read("/api/catalog")


async def test_the_token_goes_through_no_proxy(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "")
        monkeypatch.delenv("PARLEY_ACCESS_TOKEN", raising=False)
        assert await found(Web(DataFolder(house.data), timeout=60.0))
        with pytest.raises(BlockingIOError):
            proxy.accept()
