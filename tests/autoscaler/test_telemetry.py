from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from autoscaler.core.commands import Decided, Scale, Status
from autoscaler.core.domain import (
    Decision,
    Mode,
    Observation,
    RevisionKey,
    StartFailure,
)
from autoscaler.core.messages import Ready, Wake
from autoscaler.events import Failure
from autoscaler.telemetry import Telemetry

IRIS = RevisionKey("production", "iris")
LLM = RevisionKey("default", "llm")
OF_IRIS = {"namespace": "production", "revision": "iris"}
UP = Scale(key=IRIS, replicas=1, reason="a request waits")
ASLEEP = Status(
    key=IRIS, state="asleep", min=0, max=1, desired=0, ready=0, starting=0,
    draining=0, in_flight=0, held=0, mode="stable", reason="idle",
)  # fmt: skip


class Measured:
    """Telemetry on a clock that the test turns."""

    def __init__(self) -> None:
        self.now = 0.0
        self.registry = CollectorRegistry()
        self.telemetry = Telemetry(self.registry, lambda: self.now)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


def test_commands_and_failures_are_counted_for_each_revision():
    of = Measured()

    of.telemetry.saw(UP)
    of.telemetry.saw(UP)
    of.telemetry.saw(
        Failure(key=IRIS, failure=StartFailure(reason="exit status 1", final=True))
    )

    assert of.value("fromzero_scale_commands_total", **OF_IRIS) == 2
    assert of.value("fromzero_start_failures_total", **OF_IRIS) == 1


@pytest.mark.parametrize("mode", list(Mode))
def test_decisions_are_counted_by_the_window_they_listened_to(mode):
    of = Measured()

    of.telemetry.saw(
        Decided(
            key=IRIS,
            seen=Observation(stable=1, panic=1, ready=1),
            decision=Decision(desired=1, mode=mode, reason="busy"),
            replicas=1,
            reason="busy",
        )
    )

    assert of.value("fromzero_decisions_total", mode=mode.value) == 1


def test_each_phase_of_a_cold_start_is_measured():
    of = Measured()

    of.telemetry.saw(Wake(key=IRIS, reporter="a", epoch=0, held=1))
    of.now = 1.0
    of.telemetry.saw(UP)
    of.now = 2.0
    of.telemetry.connected(IRIS)
    of.now = 4.0
    of.telemetry.saw(Ready(key=IRIS, reporter="a", replica="iris-1"))
    of.telemetry.answered(IRIS, 9.0)

    lengths = {
        phase: of.value("fromzero_cold_start_seconds_sum", phase=phase)
        for phase in ("decide", "place", "start", "load", "first_byte")
    }
    assert lengths == {
        "decide": 1.0, "place": 1.0, "start": 0.0, "load": 2.0, "first_byte": 5.0,
    }  # fmt: skip


def test_a_first_byte_before_its_replica_was_said_to_be_ready_counts_as_no_time():
    of = Measured()
    of.telemetry.saw(Wake(key=IRIS, reporter="a", epoch=0, held=1))
    of.now = 3.0
    of.telemetry.saw(Ready(key=IRIS, reporter="a", replica="iris-1"))

    of.telemetry.answered(IRIS, 2.5)

    assert of.value("fromzero_cold_start_seconds_sum", phase="first_byte") == 0.0


def test_levels_are_those_of_the_moment_of_the_scrape():
    of = Measured()
    statuses = [ASLEEP]
    of.telemetry.watch(lambda: tuple(statuses))
    assert of.value("fromzero_ready_replicas", **OF_IRIS) == 0

    statuses[:] = [
        replace(ASLEEP, state="ready", desired=3, ready=2, starting=1, draining=4),
        replace(ASLEEP, key=LLM, state="ready"),
    ]

    levels = {
        name: of.value(f"fromzero_{name}_replicas", **OF_IRIS)
        for name in ("desired", "ready", "starting", "draining")
    }
    assert levels == {"desired": 3, "ready": 2, "starting": 1, "draining": 4}
    assert of.value("fromzero_revisions", state="ready") == 2
    assert of.value("fromzero_revisions", state="asleep") is None


def test_a_removed_revision_has_no_series():
    of = Measured()
    of.telemetry.saw(UP)

    of.telemetry.forget(IRIS)
    of.telemetry.forget(LLM)

    assert of.value("fromzero_scale_commands_total", **OF_IRIS) is None


def test_reloads_are_counted_by_what_came_of_them():
    of = Measured()

    of.telemetry.reloaded("refused")

    assert of.value("fromzero_reloads_total", result="refused") == 1


def test_every_name_begins_with_fromzero():
    of = Measured()
    of.telemetry.watch(lambda: (ASLEEP,))

    names = {
        line.split()[2]
        for line in generate_latest(of.registry).decode().splitlines()
        if line.startswith("# TYPE")
    }

    assert names
    assert all(name.startswith("fromzero_") for name in names)
