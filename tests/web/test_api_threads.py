"""Threads through the HTTP API."""

from __future__ import annotations

from api_client import Api
from eventually import eventually
from parley_contracts.base import new_id


async def test_a_thread_is_made_listed_renamed_archived_deleted_and_restored(api: Api) -> None:
    thread = await api.new_thread(title="Ümläute 🐢")
    made = await api.call("GET", f"/api/threads/{thread}")
    assert (made["thread"]["title"], made["messages"]) == ("Ümläute 🐢", [])

    path = f"/api/threads/{thread}"
    renamed = await api.call("PATCH", path, {"title": "Other"})
    assert (renamed["title"], renamed["status"]) == ("Other", "active")
    archived = await api.call("PATCH", path, {"status": "archived"})
    assert archived["title"] == "Other"
    assert thread in await listed(api, status="archived")
    assert thread not in await listed(api)

    await api.call("DELETE", path)
    assert thread in await listed(api, status="deleted")
    await api.call("POST", f"{path}/restore")
    assert thread not in await listed(api, status="deleted")


async def listed(api: Api, **query: str) -> list[str]:
    answer = await api.client.get("/api/threads", params={"limit": 500, **query})
    assert answer.status_code == 200, answer.text
    return [thread["id"] for thread in answer.json()["threads"]]


async def test_rule_18_the_caller_may_choose_the_id_and_repeat_the_call(api: Api) -> None:
    fields = {"id": new_id(), "title": "once"}
    first = await api.call("POST", "/api/threads", fields, status=201)
    again = await api.call("POST", "/api/threads", fields, status=201)
    assert first["id"] == again["id"] == fields["id"]


async def test_titles_and_messages_are_found(api: Api) -> None:
    word = f"w{new_id()}"
    titled = await api.new_thread(title=f"about {word}")
    said = await api.new_thread()
    await api.ask(said, f"please find {word} here")

    async def found() -> bool:  # messages are indexed soon after their commit
        return set(await listed(api, q=word)) == {titled, said}

    await eventually(found)


async def test_the_list_comes_in_pages(api: Api) -> None:
    made = [await api.new_thread() for _ in range(3)]
    first = await api.call("GET", "/api/threads?limit=2")
    rest = await api.call("GET", f"/api/threads?limit=500&cursor={first['cursor']}")
    seen = [each["id"] for each in (*first["threads"], *rest["threads"])]
    assert seen[:3] == made[::-1]
    assert len(seen) == len(set(seen))


async def test_a_fork_shares_the_history_up_to_its_message(api: Api) -> None:
    thread = await api.new_thread()
    question = (await api.ask(thread, "one"))[0].data["message"]["id"]
    await api.ask(thread, "two")
    path = f"/api/threads/{thread}/fork"
    middle = await api.call("POST", path, {"message_id": question}, status=201)
    assert middle["parent"] == {"thread_id": thread, "position": 1, "message_id": question}
    end = await api.call("POST", path, status=201)
    whole = await api.call("GET", f"/api/threads/{end['id']}")
    assert [each["text"] for each in whole["messages"]] == ["one", "one", "two", "two"]


async def test_older_messages_come_page_by_page(api: Api) -> None:
    thread = await api.new_thread()
    for text in ("a", "b", "c"):
        await api.ask(thread, text)
    newest = await api.call("GET", f"/api/threads/{thread}?limit=4")
    older = await api.call("GET", f"/api/threads/{thread}?limit=4&before={newest['before']}")
    texts = [each["text"] for each in (*older["messages"], *newest["messages"])]
    assert texts == ["a", "a", "b", "b", "c", "c"]
    assert older.get("before") is None


async def test_what_does_not_exist_is_told_in_one_sentence(api: Api) -> None:
    for method, path in (
        ("GET", "/api/threads/unknown"),
        ("PATCH", "/api/threads/unknown"),
        ("DELETE", "/api/threads/unknown"),
        ("POST", "/api/threads/unknown/fork"),
        ("GET", "/api/threads/unknown/events"),
        ("GET", "/api/threads/unknown/export"),
        ("GET", "/api/messages/unknown"),
        ("GET", "/api/turns/unknown"),
        ("GET", "/api/agents/unknown"),
        ("GET", "/api/unknown"),
    ):
        problem = await api.call(method, path, {} if method == "PATCH" else None, status=404)
        assert problem["detail"].endswith("."), path
        assert problem["type"] == "urn:parley:problem:not-found"


async def test_wrong_fields_are_named(api: Api) -> None:
    for path, body, field in (
        ("/api/threads", {"title": "x" * 201}, "title"),
        ("/api/threads", {"id": "no spaces"}, "id"),
        ("/api/threads", {"title": 5}, "title"),
        ("/api/agents", {"handle": "Ada", "name": "Ada"}, "handle"),
        ("/api/agents", {"handle": "ada", "name": "Ada", "tools": "clock"}, "tools"),
        ("/api/agents", {"handle": "ada", "name": "Ada", "policies": []}, "policies"),
    ):
        problem = await api.call("POST", path, body, status=422)
        assert problem["field"] == field
        assert not set(problem["detail"].split()) & {"Input", "String", "pattern", "tuple"}
    problem = await api.call("POST", "/api/threads", {"title": ""}, status=422)
    assert problem["detail"] == "“title” is empty; write something and send again."
    problem = await api.call("GET", "/api/threads?limit=501", status=422)
    assert problem["field"] == "limit"


async def test_a_number_that_no_database_holds_is_refused(api: Api) -> None:
    thread = await api.new_thread()
    problem = await api.call("GET", f"/api/threads/{thread}?before={2**63}", status=422)
    assert problem["field"] == "before"
    problem = await api.call("GET", f"/api/threads?cursor=t:{2**63}:x", status=422)
    assert problem["field"] == "cursor"


async def test_a_wrong_method_is_told_the_right_ones(api: Api) -> None:
    answer = await api.client.put("/api/threads/x")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, PATCH, DELETE"
    assert answer.headers["content-type"] == "application/problem+json"
