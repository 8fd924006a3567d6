"""Event streams over bare sockets, for clients that open one and stop reading."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from house import House
from parley_bus import Bus, NatsContext

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def stalled_stream(house: House, path: str) -> Stream:
    """Open a stream, read its beginning, and then nothing: the socket's buffers fill up."""
    address = urlsplit(house.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=65536)
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Authorization: Bearer {house.token}\r\n\r\n".encode()
    )
    await reader.readuntil(b"\n\n")
    return reader, writer


async def gateway_of(house: House) -> Bus:
    """Connect as the house's gateway does, to publish events as it would."""
    return await Bus.connect(NatsContext.read(house.data / "nats" / "gateway.json"), name="test")
