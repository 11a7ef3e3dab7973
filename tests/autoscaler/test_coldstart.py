from __future__ import annotations

import pytest

from autoscaler.coldstart import ColdStarts, Phase
from autoscaler.core.commands import Decided, Scale
from autoscaler.core.domain import (
    Decision,
    Mode,
    Observation,
    Replica,
    RevisionKey,
    StartFailure,
)
from autoscaler.core.messages import Ready, Wake
from autoscaler.events import Failure, Observed

IRIS = RevisionKey("production", "iris")
LLM = RevisionKey("default", "llm")


def wake(key: RevisionKey = IRIS) -> Wake:
    return Wake(key=key, reporter="a", epoch=0, held=1)


def scale(replicas: int) -> Scale:
    return Scale(key=IRIS, replicas=replicas, reason="a request waits")


def process(port: int) -> Observed:
    return Observed(key=IRIS, replicas=(Replica(id="iris-1", port=port),))


READY = Ready(key=IRIS, reporter="a", replica="iris-1")
FAILED = Failure(key=IRIS, failure=StartFailure(reason="exit status 1", final=True))


def test_each_phase_takes_from_the_end_of_the_one_before_to_its_own():
    starts = ColdStarts()

    starts.saw(wake(), 10.0)
    told = starts.saw(scale(1), 10.5)
    told += starts.saw(process(port=0), 10.6)
    told += starts.saw(process(port=5000), 11.5)
    told += starts.connected(IRIS, 13.5)
    told += starts.saw(READY, 17.5)
    told += starts.answered(IRIS, 25.5)

    assert told == [
        (Phase.DECIDE, 0.5),
        (Phase.PLACE, 1.0),
        (Phase.START, 2.0),
        (Phase.LOAD, 4.0),
        (Phase.FIRST_BYTE, 8.0),
    ]


def test_a_phase_whose_end_nobody_told_takes_the_time_and_those_after_it_none():
    starts = ColdStarts()
    starts.saw(wake(), 0.0)
    starts.saw(scale(1), 1.0)
    starts.saw(process(port=5000), 2.0)

    told = starts.saw(READY, 5.0)

    assert told == [(Phase.START, 3.0), (Phase.LOAD, 0.0)]


def test_a_decision_ends_the_first_phase_too():
    starts = ColdStarts()
    starts.saw(wake(), 0.0)
    decided = Decided(
        key=IRIS,
        seen=Observation(stable=1, panic=1, ready=0),
        decision=Decision(desired=1, mode=Mode.STABLE, reason="busy"),
        replicas=1,
        reason="busy",
    )

    assert starts.saw(decided, 0.25) == [(Phase.DECIDE, 0.25)]


def test_a_second_wake_of_the_same_sleep_starts_nothing_anew():
    starts = ColdStarts()
    starts.saw(wake(), 0.0)
    starts.saw(wake(), 4.0)

    assert starts.saw(scale(1), 5.0) == [(Phase.DECIDE, 5.0)]


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(FAILED, id="a start that failed"),
        pytest.param(scale(0), id="a start that was given up"),
    ],
)
def test_what_did_not_come_to_be_ready_is_followed_no_more(end):
    starts = ColdStarts()
    starts.saw(wake(), 0.0)

    starts.saw(end, 1.0)

    assert starts.saw(READY, 2.0) == []
    assert starts.answered(IRIS, 2.0) == []


def test_revisions_are_followed_each_on_its_own():
    starts = ColdStarts()
    starts.saw(wake(LLM), 0.0)
    starts.saw(wake(IRIS), 3.0)

    assert starts.saw(scale(1), 4.0) == [(Phase.DECIDE, 1.0)]


def test_a_replica_that_nobody_waited_for_is_no_cold_start():
    starts = ColdStarts()

    assert starts.saw(scale(2), 0.0) == []
    assert starts.saw(READY, 1.0) == []
    assert starts.answered(IRIS, 2.0) == []


def test_a_second_answer_ends_nothing():
    starts = ColdStarts()
    starts.saw(wake(), 0.0)
    starts.answered(IRIS, 1.0)

    assert starts.answered(IRIS, 2.0) == []


def test_a_late_word_of_an_earlier_phase_ends_nothing():
    starts = ColdStarts()
    starts.saw(wake(), 0.0)
    starts.saw(READY, 1.0)

    assert starts.saw(process(port=5000), 2.0) == []
    assert starts.answered(IRIS, 3.0) == [(Phase.FIRST_BYTE, 2.0)]
