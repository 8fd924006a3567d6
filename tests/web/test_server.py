"""Where the web service listens."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from parley_web.server import listen
from parley_web.settings import WebSettings


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_all_addresses_include_those_of_the_older_kind(host: str) -> None:
    if host == "::" and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no sockets for both kinds of addresses")
    settings = WebSettings(nats_context=Path("unused"), host=host, port=0)
    with listen(settings) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as caller:
            assert caller.getpeername()[1] == port
