from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from autoscaler.core.domain import Replica, RevisionKey
from autoscaler.core.messages import Ready, Wake
from autoscaler.events import Observed
from fromzero.changes import Changes
from tests.fakes.known import ASLEEP, IRIS

WAKE = Wake(key=IRIS, reporter="a", epoch=0, held=3)


class Told:
    """Changes on a clock that the test turns, and what was said."""

    def __init__(self, caplog) -> None:
        self.now = 0.0
        self.status = ASLEEP
        self.caplog = caplog
        self.changes = Changes(self._status, lambda: self.now)
        caplog.set_level(logging.INFO)

    def _status(self, key: RevisionKey):
        if key != self.status.key:
            raise KeyError(key)
        return self.status

    def saw(self, *events: object) -> list[str]:
        self.caplog.clear()
        for each in events:
            self.changes.saw(each)
        return [each.getMessage() for each in self.caplog.records]


@pytest.fixture
def told(caplog):
    return Told(caplog)


def picture(*names: str, ready: bool = False) -> Observed:
    its = tuple(Replica(id=name, port=1, ready=ready) for name in names)
    return Observed(key=IRIS, replicas=its)


def ready(name: str) -> Ready:
    return Ready(key=IRIS, reporter="a", replica=name)


def test_requests_that_are_held_are_said_once_for_each_sleep(told):
    assert told.saw(WAKE, WAKE) == [f"held revision={IRIS} requests=3"]
    told.saw(picture("r1"), ready("r1"), picture())

    assert told.saw(WAKE) == [f"held revision={IRIS} requests=3"]


def test_a_replica_is_said_to_be_ready_once_with_the_time_it_took(told):
    told.saw(picture("r1"))
    told.now = 1.4

    assert told.saw(ready("r1"), ready("r1")) == [
        f"ready revision={IRIS} replica=r1 after_s=1.40"
    ]


def test_a_backend_may_be_the_first_to_say_that_a_replica_is_ready(told):
    told.saw(picture("r1"))
    told.now = 2.0

    assert told.saw(picture("r1", ready=True), ready("r1")) == [
        f"ready revision={IRIS} replica=r1 after_s=2.00"
    ]


def test_a_late_word_of_a_replica_that_is_gone_is_not_said(told):
    told.saw(picture("r1", "r2"), picture("r2"))

    assert told.saw(ready("r1")) == []


def test_a_revision_without_replicas_is_said_with_its_reason(told):
    told.saw(picture("r1"))

    assert told.saw(picture()) == [f'asleep revision={IRIS} reason="idle for 60 s"']


def test_one_without_replicas_that_does_not_sleep_is_said_as_it_is(told):
    told.saw(picture("r1"))
    told.status = replace(ASLEEP, state="failing", reason="exit status 3")

    assert told.saw(picture()) == [f'failing revision={IRIS} reason="exit status 3"']


def test_a_revision_that_was_removed_ends_without_a_word(told):
    told.saw(picture("r1"))
    told.status = replace(ASLEEP, key=RevisionKey("a", "other"))

    assert told.saw(picture()) == []
