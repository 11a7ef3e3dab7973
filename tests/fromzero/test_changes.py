from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.core.commands import Scale
from autoscaler.core.domain import Replica, RevisionKey
from autoscaler.core.messages import Ready, Wake
from autoscaler.events import Observed
from fromzero.changes import Changes, Empty, Held, Scaled, Serves
from tests.fakes.known import ASLEEP, IRIS

WAKE = Wake(key=IRIS, reporter="a", epoch=0, held=3)


class Told:
    """Changes on a clock that the test turns, and what was told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.status = ASLEEP
        self._told: list[object] = []
        self.changes = Changes(self._status, self._told.append, lambda: self.now)

    def _status(self, key: RevisionKey):
        if key != self.status.key:
            raise KeyError(key)
        return self.status

    def saw(self, *events: object) -> list[object]:
        self._told.clear()
        for each in events:
            self.changes.saw(each)
        return list(self._told)


@pytest.fixture
def told():
    return Told()


def picture(*names: str, ready: bool = False) -> Observed:
    its = tuple(Replica(id=name, port=1, ready=ready) for name in names)
    return Observed(key=IRIS, replicas=its)


def ready(name: str) -> Ready:
    return Ready(key=IRIS, reporter="a", replica=name)


def scale(replicas: int, reason: str) -> Scale:
    return Scale(key=IRIS, replicas=replicas, reason=reason)


def test_requests_that_are_held_are_told_once_for_each_sleep(told):
    assert told.saw(WAKE, WAKE) == [Held(key=IRIS, requests=3)]
    told.saw(picture("r1"), ready("r1"), picture())

    assert told.saw(WAKE) == [Held(key=IRIS, requests=3)]


def test_requests_that_came_while_the_last_replica_stopped_are_not_told_again(told):
    told.saw(picture("r1"), ready("r1"), WAKE)
    told.status = replace(ASLEEP, state="starting", held=3)
    told.saw(picture())

    assert told.saw(WAKE) == []


def test_a_wake_that_nobody_waits_for_is_none_of_a_request(told):
    assert told.saw(replace(WAKE, held=0)) == []


def test_another_number_of_replicas_is_told_with_its_reason(told):
    assert told.saw(scale(1, "a request waits"), scale(2, "busy")) == [
        Scaled(key=IRIS, before=0, replicas=1, reason="a request waits"),
        Scaled(key=IRIS, before=1, replicas=2, reason="busy"),
    ]


def test_the_same_number_again_is_not_told(told):
    told.saw(scale(1, "a request waits"))

    assert told.saw(scale(1, "one was lost")) == []


def test_a_replica_is_told_to_serve_once_with_the_time_it_took(told):
    told.saw(picture("r1"))
    told.now = 1.5

    assert told.saw(ready("r1"), ready("r1")) == [
        Serves(key=IRIS, replica="r1", after_s=1.5)
    ]


def test_a_backend_may_be_the_first_to_say_that_a_replica_is_ready(told):
    told.saw(picture("r1"))
    told.now = 2.0

    assert told.saw(picture("r1", ready=True), ready("r1")) == [
        Serves(key=IRIS, replica="r1", after_s=2.0)
    ]


def test_a_late_word_of_a_replica_that_is_gone_is_not_told(told):
    told.saw(picture("r1", "r2"), picture("r2"))

    assert told.saw(ready("r1")) == []


def test_a_revision_without_replicas_is_told_with_its_reason(told):
    told.saw(picture("r1"))

    assert told.saw(picture()) == [
        Empty(key=IRIS, state="asleep", reason="idle for 60 s")
    ]


def test_one_without_replicas_that_does_not_sleep_is_told_as_it_is(told):
    told.saw(picture("r1"))
    told.status = replace(ASLEEP, state="failing", reason="exit status 3")

    assert told.saw(picture()) == [
        Empty(key=IRIS, state="failing", reason="exit status 3")
    ]


def test_a_revision_that_was_removed_ends_without_a_word(told):
    told.saw(picture("r1"))
    told.status = replace(ASLEEP, key=RevisionKey("a", "other"))

    assert told.saw(picture()) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (Held(key=IRIS, requests=3), f"held revision={IRIS} requests=3"),
        (
            Scaled(key=IRIS, before=1, replicas=2, reason="busy"),
            f'scale revision={IRIS} from=1 to=2 reason="busy"',
        ),
        (
            Serves(key=IRIS, replica="r1", after_s=1.404),
            f"ready revision={IRIS} replica=r1 after_s=1.40",
        ),
        (
            Empty(key=IRIS, state="asleep", reason="idle"),
            f'asleep revision={IRIS} reason="idle"',
        ),
    ],
)
def test_a_change_is_a_line_of_what_and_values(change, line):
    assert str(change) == line
