"""Records are opened before anything is served, and say whose requests there were."""

from __future__ import annotations

from math import inf

import pytest

from activator.core.ticket import Outcome
from activator.watcher import Finished
from autoscaler.core.domain import RevisionKey, Route
from autoscaler.errors import BadInput
from fromzero.flags import Records
from fromzero.records import Recorder, recording
from simulations.formats.known import read

KEY = RevisionKey("ns", "iris-predictor")
ROUTE = Route(namespace="ns", service="iris")


def ended(arrived: float, dispatched: float, at: float) -> Finished:
    return Finished(
        key=KEY, route=ROUTE, arrived=arrived, dispatched=dispatched, ended=at,
        status=200, outcome=Outcome.OK,
    )  # fmt: skip


def test_each_request_is_a_line_that_the_simulator_reads(tmp_path):
    path = tmp_path / "trace.csv"
    with recording(Records(trace=path)) as files:
        assert files.trace is not None
        recorder = Recorder(files.trace)
        recorder.connected(KEY)
        recorder.answered(KEY, 2.0)
        now = files.trace._began
        recorder.finished(ended(now + 1.0, now + 3.0, now + 5.5))
        recorder.finished(ended(now + 2.0, inf, now + 4.0))

    trace = read(path)
    assert trace.models == ("ns/iris",)
    assert trace.arrivals.tolist() == pytest.approx([1.0, 2.0])
    assert trace.services[0] == pytest.approx(2.5)
    assert trace.services[1] != trace.services[1]


@pytest.mark.parametrize("record", ["trace", "decisions"])
def test_what_cannot_be_written_is_said_before_anything_is_served(tmp_path, record):
    nowhere = tmp_path / "no" / "such"

    with pytest.raises(BadInput, match=f"--record-{record}"):
        recording(Records(**{record: nowhere})).__enter__()
