from __future__ import annotations

import io
import json
from math import inf
from typing import get_args

import pytest

from autoscaler.core.calls import Advance, Call, Observe
from autoscaler.core.commands import Command, Order
from autoscaler.core.domain import Budget, Replica, StartFailure
from autoscaler.core.fleet import Fleet
from autoscaler.core.messages import Drained, Lost, Ready, ReplicaLoad, Sample, Wake
from autoscaler.core.wire import WireError
from autoscaler.recording import RecordedFleet, replayed
from tests.autoscaler.core.stage import GIB, IRIS, LLM, spec

BUDGET = Budget(memory=2 * GIB, gpus=None, patience_s=5.0)


def play(fleet: Fleet | RecordedFleet) -> list[list[Command]]:
    """Make every kind of call; return what was answered after each."""
    answers: list[list[Command]] = []

    def took() -> None:
        answers.append(fleet.take())

    fleet.joined("a", 0.0)
    fleet.joined("b", 0.0)
    fleet.left("b", 0.25)
    fleet.configure(LLM, spec(gib=1), 0.5)
    fleet.configure(IRIS, spec(gib=2), 0.5)
    took()
    fleet.hear(Wake(key=LLM, reporter="a", epoch=0, held=2), 1.0)
    took()
    fleet.observe(LLM, (Replica(id="r1", host="h", port=1),), 1.1)
    fleet.failed(LLM, StartFailure(reason="no", final=False, replica="r1"), 1.2)
    fleet.observe(LLM, (), 1.3)
    took()
    for _ in range(3):
        fleet.advance(fleet.wake_at)
        took()
    fleet.observe(LLM, (Replica(id="r2", host="h", port=1),), 6.0)
    fleet.hear(Ready(key=LLM, reporter="a", replica="r2"), 6.1)
    fleet.usage(LLM, 33.3, 6.2)
    load = ReplicaLoad(replica="r2", in_flight=1, idle_s=0.0)
    fleet.hear(
        Sample(
            key=LLM, reporter="a", span_s=0.9, concurrency=1 / 3, requests=1, held=0,
            in_flight=1, epoch=1, version=4, replicas=(load,),
        ),
        7.0,
    )  # fmt: skip
    took()
    fleet.order(IRIS, Order.WAKE, 7.5)
    took()
    fleet.hear(Lost(key=LLM, reporter="a", replica="r2"), 13.0)
    fleet.advance(14.0)
    fleet.hear(Drained(key=LLM, reporter="a", replica="r2"), 14.5)
    took()
    fleet.standing(LLM, 14.6, aside=True, keeps="nobody stands in", awaits="")
    fleet.rebudget(BUDGET, 14.7)
    fleet.lead(leading=False, now=14.8)
    took()
    fleet.remove(LLM, 15.0)
    took()
    return answers


def recording() -> str:
    out = io.StringIO()
    play(RecordedFleet(out, budget=BUDGET, now=0.0, tick_s=2.0))
    return out.getvalue()


def lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def test_a_recorded_fleet_answers_as_the_fleet_does():
    plain = Fleet(budget=BUDGET, now=0.0)
    recorded = RecordedFleet(io.StringIO(), budget=BUDGET, now=0.0)

    assert play(recorded) == play(plain)
    assert recorded.wake_at == plain.wake_at
    assert list(recorded.keys()) == list(plain.keys()) == [IRIS]
    assert recorded.status(IRIS) == plain.status(IRIS)
    assert recorded.view(IRIS) == plain.view(IRIS)


def test_a_recording_replayed_gives_the_same_commands_for_every_kind_of_call():
    answers = list(replayed(lines(recording())))

    assert [each for each in answers if each.theirs != each.ours] == []
    assert any(each.theirs for each in answers)
    assert {type(each.call) for each in answers} == set(get_args(Call))


def test_calls_come_back_as_they_were_made_and_when():
    answers = list(replayed(lines(recording())))

    picture = (Replica(id="r2", host="h", port=1),)
    assert (6.0, Observe(key=LLM, replicas=picture)) in [
        (each.now, each.call) for each in answers
    ]
    assert (14.0, Advance()) in [(each.now, each.call) for each in answers]
    assert [each.line for each in answers] == list(range(2, len(answers) + 2))


def test_a_budget_without_bounds_is_replayed_as_one():
    out = io.StringIO()
    fleet = RecordedFleet(out, budget=Budget(patience_s=inf), now=0.0)
    fleet.configure(LLM, spec(), 0.0)

    (answer,) = replayed(lines(out.getvalue()))

    assert answer.theirs == answer.ours != []


@pytest.mark.source  # compiled, a KeyError quotes a key that is a tuple otherwise
def test_a_call_that_is_an_error_is_recorded_and_is_one_again():
    out = io.StringIO()
    fleet = RecordedFleet(out, budget=Budget(), now=0.0)
    with pytest.raises(KeyError):
        fleet.order(LLM, Order.WAKE, 1.0)
    fleet.configure(LLM, spec(), 2.0)

    first, second = replayed(lines(out.getvalue()))

    assert first.theirs == first.ours
    assert first.theirs[-1] == {"type": "raised", "what": f"KeyError: {LLM!r}"}
    assert second.theirs == second.ours


def test_a_last_line_that_was_cut_off_is_left_out():
    text = recording()

    whole = len(list(replayed(lines(text))))

    assert len(list(replayed(lines(text[:-9])))) == whole - 1


HEADER = {
    "format": "fromzero-fleet", "version": 1, "now": 0.0, "tick_s": 2.0,
    "budget": {"type": "Budget"},
}  # fmt: skip
CALL = {"now": 1.0, "call": {"type": "Advance"}, "commands": []}


@pytest.mark.parametrize(
    ("header", "call", "rule"),
    [
        ({"format": "other"}, {}, "format = 'other', must be 'fromzero-fleet'"),
        ({"version": 2}, {}, "version = 2, must be 1: use the version"),
        ({"budget": 3}, {}, "budget = 3, must be an object"),
        ({"now": "x"}, {}, "now = 'x', must be a number"),
        ({"tick_s": True}, {}, "tick_s = True, must be a number"),
        ({"tick_s": 0}, {}, "tick_s = 0, must be more than 0"),
        ({}, {"now": None}, "now = None, must be a number"),
        ({}, {"now": 10**400}, "now = inf, must be finite"),
        ({}, {"now": inf}, "now = inf, must be finite"),
        ({}, {"call": {"type": "Jump"}}, "call.type = 'Jump', must be one of"),
        ({}, {"commands": 3}, "commands must be a list"),
    ],
)
def test_what_is_no_recording_is_refused_with_field_value_and_rule(header, call, rule):
    text = [json.dumps(HEADER | header) + "\n", json.dumps(CALL | call) + "\n"]

    with pytest.raises(WireError, match="^" + rule.replace("(", r"\(")):
        list(replayed(text))


@pytest.mark.parametrize(
    ("line", "rule"),
    [("{", "is not JSON"), ("[]", "must be a JSON object"), ("[" * 99_999, "is not")],
)
def test_a_line_that_is_no_object_is_refused(line, rule):
    with pytest.raises(WireError, match=rule):
        list(replayed([line]))


def test_nothing_is_no_recording():
    with pytest.raises(WireError, match="is not JSON"):
        list(replayed([]))
