"""What the web service counts about itself."""

from __future__ import annotations

import re

from api_client import Api


async def sample(api: Api, name: str, **labels: str) -> float:
    """Return a metric's value, 0 when it is not there."""
    wanted = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    pattern = "^" + re.escape(f"{name}{{{wanted}}}" if wanted else name) + r" (\S+)$"
    found = re.search(pattern, (await api.client.get("/metrics")).text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def test_answers_are_counted_by_route_and_not_by_address(api: Api) -> None:
    labels = {"route": "/api/threads/{id}", "method": "GET", "status": "404"}
    before = await sample(api, "parley_http_requests_total", **labels)
    for unknown in ("one", "two"):
        await api.call("GET", f"/api/threads/{unknown}", status=404)
    assert await sample(api, "parley_http_requests_total", **labels) == before + 2


async def test_the_time_to_the_first_byte_is_counted_in_buckets(api: Api) -> None:
    await api.call("GET", "/api/agents")
    name, route = "parley_http_first_byte_seconds", "/api/agents"
    counted = await sample(api, f"{name}_count", route=route)
    assert counted >= 1
    assert await sample(api, f"{name}_bucket", le="+Inf", route=route) >= counted


async def test_the_bus_and_the_relay_are_shown(api: Api) -> None:
    relayed = await sample(api, "parley_events_relayed_total")
    await api.ask(await api.new_thread(), "count these events")
    assert await sample(api, "parley_events_relayed_total") > relayed
    assert await sample(api, "parley_bus_connected") == 1.0
