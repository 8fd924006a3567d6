"""The account of a turn's steps, and what follows from it."""

from __future__ import annotations

from parley_agent_worker.draft import Draft
from parley_agent_worker.progress import Progress
from parley_contracts.messages import ReasoningPart, TextPart, ToolPart, ToolStatus
from parley_contracts.turns import AnswerStep, ResultStep, Step, ToolCall, Usage


def call(call_id: str, arguments: str = "{}") -> ToolCall:
    return ToolCall(id=call_id, name="x", arguments=arguments)


def answer(number: int, *calls: ToolCall, text: str = "") -> AnswerStep:
    usage = Usage(input_tokens=10, output_tokens=1)
    return AnswerStep(number=number, text=text, calls=calls, usage=usage)


def result(number: int, call_id: str, output: str = "out", status: ToolStatus = "ok") -> ResultStep:
    return ResultStep(number=number, call_id=call_id, name="x", output=output, status=status)


def test_a_fresh_turn_has_to_ask() -> None:
    progress = Progress()
    assert (progress.answered, progress.pending, progress.text) == (False, (), "")
    assert progress.usage is None


def test_calls_are_pending_until_each_has_its_result() -> None:
    progress = Progress([answer(0, call("a"), call("b"))])
    assert [each.id for each in progress.pending] == ["a", "b"]
    progress.add(result(1, "b"))
    assert [each.id for each in progress.pending] == ["a"]
    progress.add(result(2, "a"))
    assert (progress.pending, progress.answered) == ((), False)
    progress.add(answer(3, text="done"))
    assert progress.answered


def test_rule_13_an_account_from_recorded_steps_is_the_one_that_was_interrupted() -> None:
    steps: list[Step] = [answer(0, call("a"), call("b"), text="x"), result(1, "a")]
    live = Progress()
    for step in steps:
        live.add(step)
    restored = Progress(steps)
    assert restored.parts() == live.parts()
    assert restored.pending == live.pending
    assert restored.take_number() == live.take_number() == 2


def test_rule_13_a_later_result_replaces_the_note_that_a_call_began() -> None:
    began = result(1, "a", output="unknown", status="unknown")
    assert Progress([answer(0, call("a")), began]).pending == ()
    parts = Progress([answer(0, call("a")), began, result(2, "a")]).parts()
    assert [(each.output, each.status) for each in parts if isinstance(each, ToolPart)] == [
        ("out", "ok")
    ]


def test_the_text_parts_joined_are_the_text() -> None:
    progress = Progress([answer(0, call("a"), text="one"), result(1, "a")])
    draft = Draft(progress, "echo:x")
    pieces = [draft.add_text(piece) for piece in ("two", " three")]
    progress.add(draft.answer(2, complete=True))
    assert pieces == ["\n\ntwo", " three"]
    assert progress.text == "one\n\ntwo three"
    texts = [part.text for part in progress.parts() if isinstance(part, TextPart)]
    assert "".join(texts) == progress.text


def test_reasoning_is_kept_apart() -> None:
    progress = Progress([AnswerStep(number=0, text="a", reasoning="hm")])
    assert progress.parts() == [ReasoningPart(step=0, text="hm"), TextPart(step=0, text="a")]
    assert progress.text == "a"


def test_a_call_without_a_result_is_shown_as_cancelled() -> None:
    (part,) = Progress([answer(0, call("a"))]).parts()
    assert isinstance(part, ToolPart)
    assert (part.status, part.output) == ("cancelled", "")


def test_the_tokens_of_all_answers_count() -> None:
    progress = Progress([answer(0, call("a")), result(1, "a"), answer(2, text="x")])
    assert progress.usage == Usage(input_tokens=20, output_tokens=2)


def test_the_third_identical_call_ends_the_calling() -> None:
    progress = Progress()
    for at in (0, 2):
        progress.add(answer(at, call(f"c{at}", '{"a": 1}')))
        assert not progress.circles(call("next", '{"a": 1}'))
        progress.add(result(at + 1, f"c{at}"))
    assert not progress.must_conclude
    progress.add(answer(4, call("c4", '{"a": 1}')))
    assert progress.circles(progress.pending[0])
    assert not progress.circles(call("other", '{"a": 2}'))
    assert progress.must_conclude


def test_the_twelfth_answer_must_be_the_last() -> None:
    progress = Progress()
    for at in range(11):
        assert not progress.must_conclude
        progress.add(answer(2 * at, call(f"c{at}", f'{{"n": {at}}}')))
        progress.add(result(2 * at + 1, f"c{at}"))
    assert (progress.must_conclude, progress.exhausted) == (True, False)
    progress.add(answer(22, call("c11", '{"n": 11}')))
    assert not progress.exhausted
    progress.add(result(23, "c11"))
    assert progress.exhausted


def test_calls_under_an_id_that_the_turn_knows_get_another() -> None:
    progress = Progress([answer(0, call("a")), result(1, "a")])
    draft = Draft(progress, "local:x")
    for each in (call("a"), call("b"), call("b")):
        draft.add_call(each)
    ids = [each.id for each in draft.answer(2, complete=True).calls]
    assert len({"a", *ids}) == 4
    assert ids[1] == "b"


def test_an_answer_that_broke_off_calls_nothing() -> None:
    draft = Draft(Progress(), "local:x")
    draft.add_text("half")
    draft.add_call(call("a"))
    assert draft.answer(0, complete=False).calls == ()
