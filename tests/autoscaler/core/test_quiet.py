"""Ticks of which nothing can come are left out, and nothing is otherwise for it."""

from __future__ import annotations

from dataclasses import replace
from math import floor, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.commands import Decided, Scale, Tell
from autoscaler.core.domain import (
    Aggregation,
    Budget,
    Metric,
    Replica,
    RevisionKey,
    RevisionSpec,
    ScalingSpec,
)
from autoscaler.core.fleet import Fleet
from autoscaler.core.messages import Sample
from autoscaler.core.window import Window

KEY = RevisionKey("ns", "llm")
WHO = "activator-1"
SPEC = ScalingSpec(
    total_value=4.0, min_replicas=0, max_replicas=5, initial_scale=0,
    stable_window_s=12, grace_s=5.0,
)  # fmt: skip
STRETCHES = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from([0, 0, 0, 0.3, 1, 6, 19])),
    min_size=1,
    max_size=8,
)
SPECS = st.builds(
    replace,
    st.just(SPEC),
    min_replicas=st.integers(0, 2),
    retention_s=st.sampled_from([0.0, 7.5, 60.0]),
    scale_down_delay_s=st.sampled_from([0, 0, 9]),
    panic=st.booleans(),
    stable_window_s=st.sampled_from([6, 12, 30]),
    metric=st.sampled_from([Metric.CONCURRENCY, Metric.RPS, Metric.CPU]),
    aggregation=st.sampled_from([Aggregation.LINEAR, Aggregation.WEIGHTED]),
    target_utilization=st.sampled_from([0.7, 1.0]),
)


class Play:
    """A Fleet with replicas that are there at once, and one activator that reports."""

    def __init__(self, spec: ScalingSpec, *, leaps: bool) -> None:
        self.fleet = Fleet(budget=Budget(), now=0.0, leaps=leaps)
        self.fleet.joined(WHO, 0.0)
        self.fleet.configure(KEY, RevisionSpec(scaling=spec), 0.0)
        self.told: list[tuple[float, object]] = []
        self.decisions = 0
        self.reported = 0
        self.there: list[str] = []
        self.made = 0
        self.carry(0.0)

    def run(self, loads: list[float], *, leaps: bool) -> None:
        for second, load in enumerate(loads, 1):
            due = floor(self.fleet.wake_at) if self.fleet.wake_at < inf else inf
            if not leaps or load or due == second or self.fleet.wake_at <= second + 2:
                if load and self.reported < second - 1:
                    self.report(second - 1, 0.0)
                self.report(second, load)
            while self.fleet.wake_at < second + 1:
                now = self.fleet.wake_at
                self.fleet.advance(now)
                self.carry(now)

    def report(self, second: int, load: float) -> None:
        sample = Sample(
            key=KEY, reporter=WHO, span_s=float(second - self.reported),
            concurrency=load, requests=int(load), held=0, in_flight=round(load),
            epoch=self.fleet.view(KEY).epoch, version=self.fleet.view(KEY).version,
            replicas=(),
        )  # fmt: skip
        self.reported = second
        self.fleet.hear(sample, float(second))
        self.carry(float(second))

    def carry(self, now: float) -> None:
        while commands := self.fleet.take():
            for command in commands:
                if isinstance(command, Decided):
                    self.decisions += 1
                    continue
                self.told.append((now, command))
                if isinstance(command, Scale):
                    self.scale(command, now)

    def scale(self, command: Scale, now: float) -> None:
        self.there = [name for name in self.there if name not in command.stop]
        self.there = self.there[: command.replicas]
        while len(self.there) < command.replicas:
            self.made += 1
            self.there.append(f"r{self.made}")
        picture = tuple(
            Replica(id=name, host="h", port=1, ready=True) for name in self.there
        )
        self.fleet.observe(KEY, picture, now)


@given(SPECS, STRETCHES)
def test_what_is_told_and_when_is_the_same_with_ticks_left_out(spec, stretches):
    loads = [float(load) for length, load in stretches for _ in range(length)]
    loads += [0.0] * 100
    walked, leapt = Play(spec, leaps=False), Play(spec, leaps=True)

    walked.run(loads, leaps=False)
    leapt.run(loads, leaps=True)

    # Where only the reason is another, the load it names was looked at later.
    def plain(told):
        return [
            (at, (c.replicas, c.stop) if isinstance(c, Scale) else c.message)
            for at, c in told
            if isinstance(c, Scale | Tell)
        ]

    assert plain(leapt.told) == plain(walked.told)
    assert leapt.decisions <= walked.decisions


@pytest.mark.parametrize("delay_s", [3, 30, 100])
def test_a_delay_ends_when_it_would_have_ended(delay_s):
    spec = replace(SPEC, min_replicas=1, scale_down_delay_s=delay_s)
    loads = [9.0] * 40 + [0.0] * 300 + [3.0] * 40 + [0.0] * 300

    walked, leapt = Play(spec, leaps=False), Play(spec, leaps=True)
    walked.run(loads, leaps=False)
    leapt.run(loads, leaps=True)

    scales = [
        [(at, each.replicas) for at, each in play.told if isinstance(each, Scale)]
        for play in (walked, leapt)
    ]
    assert scales[0] == scales[1]
    assert leapt.decisions < walked.decisions


def test_an_hour_awake_without_a_request_costs_a_few_decisions():
    spec = replace(SPEC, min_replicas=1)
    loads = [1.0] * 30 + [0.0] * 3_600 + [9.0] * 7 + [0.0] * 3_600

    walked, leapt = Play(spec, leaps=False), Play(spec, leaps=True)
    walked.run(loads, leaps=False)
    leapt.run(loads, leaps=True)

    assert walked.decisions > 3_600
    assert leapt.decisions < 120
    assert leapt.fleet.wake_at == inf
    scales = [
        [(at, each.replicas) for at, each in play.told if isinstance(each, Scale)]
        for play in (walked, leapt)
    ]
    assert scales[0] == scales[1]
    assert max(count for _, count in scales[0]) > 1


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.floats(0.5, 9))
def test_a_window_is_steady_just_as_long_as_is_said(loads, target):
    window = Window(10, Aggregation.LINEAR)
    for second, load in enumerate(loads):
        window.record(float(load), float(second))
    now = float(len(loads) - 1)

    def wanted(at: float) -> int:
        return -int(-window.average(at) // target)

    before, until = wanted(now), window.steady_until(target, now)
    for second in range(len(loads), len(loads) + 25):
        window.record(0.0, float(second))
        assert (wanted(float(second)) == before) is (second < until), second
        if second >= until:
            break


@pytest.mark.parametrize("aggregation", Aggregation)
def test_a_window_that_was_not_told_of_this_second_may_change_at_once(aggregation):
    window = Window(10, aggregation)
    window.record(1.0, 5.0)

    assert window.steady_until(1.0, 7.5) == 7.5
    if aggregation is Aggregation.WEIGHTED:
        assert window.steady_until(1.0, 5.0) == 5.0
