from __future__ import annotations

import json

import pytest

from autoscaler import answers
from autoscaler.core.commands import Decided, Scale, Status
from autoscaler.core.domain import (
    Decision,
    Mode,
    Observation,
    RevisionKey,
    StartFailure,
)
from autoscaler.events import Moment

IRIS = RevisionKey("production", "iris")
ASLEEP = Status(
    key=IRIS, state="asleep", min=0, max=1, desired=0, ready=0, starting=0,
    draining=0, in_flight=0, held=0, mode="stable", reason="idle for 60 s",
)  # fmt: skip


def test_a_revision_has_the_fields_that_status_promises():
    assert list(answers.revision(ASLEEP)) == [
        "namespace", "name", "state", "min", "max", "desired", "ready", "starting",
        "draining", "in_flight", "held", "mode", "reason", "allowed",
    ]  # fmt: skip
    assert answers.revision(ASLEEP)["namespace"] == "production"


@pytest.mark.parametrize(
    ("what", "said"),
    [
        pytest.param(
            Decided(
                key=IRIS,
                seen=Observation(stable=1.5, panic=2, ready=1),
                decision=Decision(desired=3, mode=Mode.PANIC, reason="panic"),
                replicas=2,
                reason="at most 2",
            ),
            {"what": "decided", "replicas": 2, "reason": "at most 2", "desired": 3,
             "mode": "panic", "stable": 1.5, "panic": 2, "ready": 1},
            id="a decision with what it saw",
        ),
        pytest.param(
            Scale(key=IRIS, replicas=1, reason="a request waits"),
            {"what": "scaled", "replicas": 1, "reason": "a request waits"},
            id="a scale command with its reason",
        ),
        pytest.param(
            StartFailure(reason="exit status 1", final=True),
            {"what": "start failed", "reason": "exit status 1"},
            id="a failure with its reason",
        ),
    ],
)  # fmt: skip
def test_a_moment_says_what_and_why(what, said):
    answer = answers.moment(Moment(at=1e9, what=what))

    assert json.loads(json.dumps(answer)) == {"at": 1e9} | said
