"""Signing in and out through the HTTP API."""

from __future__ import annotations

from collections.abc import Callable

from api_client import Api
from house import House


async def test_signing_in_gives_a_cookie_that_no_script_and_no_other_site_can_use(
    house: House,
) -> None:
    async with Api(house.url) as browser:
        answer = await browser.client.post("/api/login", json={"token": house.token})
        cookie = answer.headers["set-cookie"]
        assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(cookie.split("; "))
        assert house.token not in cookie
        await browser.call("GET", "/api/threads")


async def test_the_cookie_is_marked_secure_behind_https(house: House) -> None:
    async with Api(house.url) as browser:
        answer = await browser.client.post(
            "/api/login", json={"token": house.token}, headers={"X-Forwarded-Proto": "https"}
        )
        assert "Secure" in answer.headers["set-cookie"].split("; ")


async def test_a_wrong_token_is_refused(house: House) -> None:
    async with Api(house.url) as stranger:
        problem = await stranger.call("POST", "/api/login", {"token": "guess"}, status=401)
        assert problem["detail"].endswith(".")
        assert not stranger.client.cookies
    async with Api(house.url, "guess") as stranger:
        await stranger.call("GET", "/api/threads", status=401)


async def test_a_sign_in_is_listed_and_can_be_revoked(api: Api, house: House) -> None:
    async with Api(house.url) as browser:
        browser.client.headers["user-agent"] = "A browser of its own"
        await browser.sign_in(house.token)
        sessions = (await api.call("GET", "/api/sessions"))["sessions"]
        (mine,) = [each for each in sessions if each["label"] == "A browser of its own"]
        async with api.events() as events:
            await events.opened()
            await api.call("DELETE", f"/api/sessions/{mine['id']}", status=204)
            await events.until("sessions_changed")
        await browser.call("GET", "/api/threads", status=401)


async def test_signing_out_ends_the_session(house: House) -> None:
    async with Api(house.url) as browser:
        await browser.sign_in(house.token)
        secret = browser.client.cookies["parley_session"]
        async with browser.events() as events:
            await events.opened()
            await browser.call("POST", "/api/logout", status=204)
            await events.ended()
        assert "parley_session" not in browser.client.cookies
        browser.client.cookies.set("parley_session", secret)
        await browser.call("GET", "/api/threads", status=401)


async def test_all_sessions_can_be_ended_at_once(make_house: Callable[..., House]) -> None:
    house = make_house().start()
    async with Api(house.url) as one, Api(house.url) as other:
        await one.sign_in(house.token)
        await other.sign_in(house.token)
        async with other.events() as events:
            await events.opened()
            await one.call("DELETE", "/api/sessions", status=204)
            await events.ended()
        await other.call("GET", "/api/threads", status=401)


async def test_guessing_tokens_is_slowed_down(make_house: Callable[..., House]) -> None:
    house = make_house().start()
    async with Api(house.url) as stranger:
        for _ in range(5):
            await stranger.call("POST", "/api/login", {"token": "guess"}, status=401)
        answer = await stranger.client.post("/api/login", json={"token": "guess"})
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
        await stranger.sign_in(house.token)
