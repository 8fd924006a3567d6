"""The socket under the connection, for brokers that fall silent instead of hanging up."""

from __future__ import annotations

import asyncio
from urllib.parse import ParseResult

from nats.aio.transport import TcpTransport

LINGER_S = 1.0


class LingeringTransport(TcpTransport):
    """Gives a dead connection up.

    Closing waits until what is still to be sent is sent; to a frozen or vanished broker that can
    take a quarter of an hour, in which nats-py would not look for another.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Connect once the host's name is known.

        While there is no network a look-up outlasts its time. Given up inside of a connect, uvloop
        logs it as a fault of ours.
        """
        async with asyncio.timeout(connect_timeout):
            await asyncio.get_running_loop().getaddrinfo(uri.hostname, uri.port)
        await super().connect(uri, buffer_size, connect_timeout)

    async def wait_closed(self) -> None:
        """Wait until the connection is closed, LINGER_S at most."""
        try:
            async with asyncio.timeout(LINGER_S):
                await super().wait_closed()  # type: ignore[no-untyped-call]
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        """Close at once, whatever is still to be sent."""
        if self._io_writer:
            self._io_writer.transport.abort()

    def __bool__(self) -> bool:
        """Be kept: nats-py replaces a transport that is false."""
        return True
