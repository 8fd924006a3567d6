"""The list of threads follows what happens, also in threads that are not open."""

from __future__ import annotations

from datetime import timedelta

from page_samples import AT, thread
from parley_contracts.threads import ThreadList
from parley_web.page.sidebar import Sidebar


def listed() -> Sidebar:
    threads = (thread(id="t1", title="First"), thread(id="t2", title="Second"))
    return Sidebar(ThreadList(threads=threads), current="t1")


def test_the_open_thread_is_marked() -> None:
    [(_, _, html)] = listed().whole()
    assert html.count('aria-current="page"') == 1
    assert html.index("First") < html.index("Second")


def test_a_thread_that_somebody_writes_in_goes_to_the_top() -> None:
    [(name, parent, html)] = listed().put(thread(id="t2", title="Second"), first=True)
    assert (name, parent) == ("prepend", "threads")
    assert "Second" in html


def test_a_renamed_thread_stays_in_its_place() -> None:
    [(name, element, html)] = listed().put(thread(id="t2", rev=2, title="<i>Other</i>"))
    assert (name, element) == ("replace", "thread-t2")
    assert "&lt;i&gt;Other&lt;/i&gt;" in html


def test_a_new_thread_appears_at_the_top() -> None:
    new = thread(id="t3", active_at=AT + timedelta(seconds=1))
    assert listed().put(new)[0][:2] == ("before", "thread-t1")


def test_a_thread_beyond_the_beginning_of_the_list_is_not_lifted_by_a_new_name() -> None:
    sidebar = Sidebar(ThreadList(threads=(thread(),), cursor="more"), current=None)
    old = thread(id="old", active_at=AT - timedelta(days=9))
    assert sidebar.put(old)[0][:2] == ("replace", "thread-old")


def test_archived_and_deleted_threads_leave_the_list() -> None:
    for gone in ("archived", "deleted"):
        made = listed().put(thread(id="t2", rev=2, status=gone))
        assert made == [("remove", "thread-t2")]


def test_the_version_that_was_used_last_stands_for_all() -> None:
    sidebar = listed()
    later = thread(id="v", sibling=True, family="t2", active_at=AT + timedelta(seconds=1))
    [(_, element, html)] = sidebar.put(later)
    assert element == "thread-t2"
    assert 'href="/t/v"' in html
    assert sidebar.put(thread(id="t2", rev=9, title="Old version")) == []


def test_an_older_state_of_a_thread_changes_nothing() -> None:
    sidebar = listed()
    sidebar.put(thread(id="t2", rev=5))
    assert sidebar.put(thread(id="t2", rev=4, title="Old")) == []


def test_a_running_turn_is_marked_until_it_ends() -> None:
    sidebar = listed()
    [(_, element, html)] = sidebar.busy("t2", "u1")
    assert element == "thread-t2"
    assert "pulse" in html
    assert sidebar.busy("t2", "u1") == []
    assert sidebar.ended("t2", "another") == []
    [(_, _, html)] = sidebar.ended("t2", "u1")
    assert "pulse" not in html


def test_threads_that_are_not_listed_are_left_alone() -> None:
    assert listed().busy("unknown", "u1") == []
    assert listed().ended("unknown", "u1") == []
