"""Whatever stands in an address or a header, nobody finds a fault of ours behind it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from api_client import Api

PAGES = ("/t/{id}", "/page/threads", "/page/threads/{id}/messages", "/page/stream", "/static/{id}")
IDS = ("%00", "%ED%A0%80", "%FF", "a.b", "..%2F..", "%F0%9F%98%80", "a" * 65, "a" * 4_000)
NAMES = (
    *("q", "limit", "cursor", "before", "after", "around", "thread", "known", "status"),
    *("from", "to", "by", "format"),
)
VALUES = (
    *("%00", "%ED%A0%80", "%FF", "%C2%B2", "-1", "1e5", "9" * 18, "9" * 30, "9" * 5_000),
    *("t:1:%00", "t:%C2%B2:", f"m:{'9' * 30}:", "0001-01-01T00:00:00Z", "9999-12-31", "x" * 600),
)
PLACES = (b"\xff", b"\xc2\xb2", b"-1", b"x", b"9" * 5_000)


async def addresses(api: Api, *methods: str) -> list[tuple[str, str]]:
    """Return every address of the API and the page."""
    paths = (await api.call("GET", "/api/openapi.json"))["paths"]
    described = [(method.upper(), path) for path, calls in paths.items() for method in calls]
    return [each for each in (*described, *(("GET", page) for page in PAGES)) if each[0] in methods]


async def status_of(api: Api, method: str, address: str) -> int:
    """Return the status; what an event stream goes on to say is left unread."""
    async with api.client.stream(method, address) as answer:
        return answer.status_code


def spelled(path: str, value: str) -> str:
    return path.replace("{thread_id}", value).replace("{id}", value)


async def test_an_id_that_is_none_is_refused_at_every_address(api: Api) -> None:
    methods = ("GET", "POST", "PATCH", "DELETE")
    known = [each for each in await addresses(api, *methods) if "{" in each[1]]
    assert len(known) > 20
    for method, path in known:
        for value in IDS:
            found = await status_of(api, method, spelled(path, value))
            assert 400 <= found < 500, (method, path, value)


async def test_no_query_is_a_fault_of_ours(api: Api) -> None:
    thread = await api.new_thread()
    for _, path in await addresses(api, "GET"):
        for query in queries():
            found = await status_of(api, "GET", f"{spelled(path, thread)}?{query}")
            assert found < 500, (path, query)


def queries() -> Iterator[str]:
    """Yield queries with one wrong value each, for every call that knows its name."""
    for value in VALUES:
        yield "&".join(f"{name}={value}" for name in NAMES)
        for name in ("cursor", "around", "thread", "before"):
            yield f"{name}={value}&q=words"


async def test_an_event_stream_begins_anew_where_the_place_is_none(api: Api) -> None:
    thread = await api.new_thread()
    for path in ("/api/events", f"/api/threads/{thread}/events"):
        for place in PLACES:
            headers = {b"Last-Event-ID": place}
            async with api.client.stream("GET", path, headers=headers) as answer:
                assert answer.status_code == 200
                lines = answer.aiter_lines()
                assert "event: resync" in [await anext(lines) for _ in range(4)]
        for value in VALUES:
            found = await status_of(api, "GET", f"{path}?after={quote(value, safe='%')}")
            assert found in (200, 422), value
