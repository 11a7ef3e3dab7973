"""Ticks of which nothing can come are left out, and nothing is otherwise for it."""

from __future__ import annotations

from dataclasses import replace
from math import floor, inf

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autoscaler.core import quiet
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
from autoscaler.core.revision import Revision
from autoscaler.core.window import Window

KEY = RevisionKey("ns", "llm")
WHO = "activator-1"
SPEC = ScalingSpec(
    total_value=4.0, min_replicas=0, max_replicas=5, initial_scale=0,
    stable_window_s=12, grace_s=5.0,
)  # fmt: skip
STRETCHES = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from([0, 0, 0, 0.3, 1, 2, 3, 6, 19])),
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
    panic_threshold=st.sampled_from([2.0, 1.0, 1.5]),
    activation_scale=st.sampled_from([1, 1, 2]),
    stable_window_s=st.sampled_from([6, 12, 30]),
    metric=st.sampled_from([Metric.CONCURRENCY, Metric.RPS, Metric.CPU]),
    aggregation=st.sampled_from([Aggregation.LINEAR, Aggregation.WEIGHTED]),
    target_utilization=st.sampled_from([0.7, 1.0]),
)


class Play:
    """A Fleet with replicas that are there at once, and one activator that reports."""

    def __init__(self, spec: ScalingSpec, *, leaps: bool, start_s: int = 0) -> None:
        self.start_s = start_s
        self.starts: dict[str, int] = {}
        """Replicas that will be ready, and when."""
        foresight = quiet.Windows() if leaps else None
        self.fleet = Fleet(budget=Budget(), now=0.0, foresight=foresight)
        self.fleet.joined(WHO, 0.0)
        self.fleet.configure(KEY, RevisionSpec(scaling=spec), 0.0)
        self.rates = spec.metric is Metric.RPS
        self.told: list[tuple[float, object]] = []
        self.decisions = 0
        self.reported = 0
        self.there: list[str] = []
        self.made = 0
        self.carry(0.0)

    def run(self, loads: list[float], *, leaps: bool) -> None:
        before, ticked = 0.0, False
        for second, load in enumerate(loads, 1):
            due = floor(self.fleet.wake_at) if self.fleet.wake_at < inf else inf
            new = load != before
            come = int(load) if new or self.rates else 0
            steady = load == round(load) and not come
            starts = second in self.starts.values()
            soon = ticked or starts or not steady or due <= second + 2
            if not leaps or new or soon:
                if new and self.reported < second - 1:
                    self.report(second - 1, before, 0)
                self.report(second, load, come)
            before = load
            if starts:
                self.show(float(second))
                self.carry(float(second))
            ticked = self.fleet.wake_at < second + 1
            while self.fleet.wake_at < second + 1:
                now = self.fleet.wake_at
                self.fleet.advance(now)
                self.carry(now)

    def report(self, second: int, load: float, come: int) -> None:
        sample = Sample(
            key=KEY, reporter=WHO, span_s=float(second - self.reported),
            concurrency=load, requests=come, held=0, in_flight=round(load),
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
            self.starts[self.there[-1]] = floor(now) + self.start_s
        self.show(now)

    def show(self, now: float) -> None:
        picture = tuple(
            Replica(id=name, host="h", port=1, ready=self.starts[name] <= now)
            for name in self.there
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


def test_a_delay_counts_from_ticks_left_out_before_other_settings():
    spec = replace(SPEC, scale_down_delay_s=30)
    other = RevisionSpec(scaling=replace(spec, metric=Metric.RPS))
    ends = []
    for leaps in (False, True):
        play = Play(spec, leaps=leaps)
        play.run([1.0] * 60, leaps=leaps)
        play.fleet.configure(KEY, other, 60.5)
        for second in range(61, 200):
            play.report(second, 0.0, 0)
            while play.fleet.wake_at < second + 1:
                now = play.fleet.wake_at
                play.fleet.advance(now)
                play.carry(now)
        ends.append([at for at, each in play.told if isinstance(each, Scale)])

    assert ends[0] == ends[1]
    assert ends[0][-1] > 90.0


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


@given(
    st.lists(st.sampled_from([0, 0, 1, 2, 4, 9, 1e-7]), min_size=1, max_size=40),
    st.floats(0.5, 9),
    st.sampled_from([0, 0, 1, 3]),
)
@example([1e-5], 1.0, 0)  # too little to show for a whole window
def test_a_window_is_steady_just_as_long_as_is_said(loads, target, level):
    window = Window(10, Aggregation.LINEAR)
    for second, load in enumerate(loads):
        window.record(float(load), float(second))
    now = float(len(loads) - 1)

    before, most = window.wanted(target, now), window.most(target, level, now)
    until = window.steady_until(target, level, now)
    for second in range(len(loads), len(loads) + 25):
        window.record(float(level), float(second))
        wanted = window.wanted(target, float(second))
        assert wanted <= most
        if level:  # It may be steady for longer than is known.
            assert wanted == before or second >= until
        else:
            assert (wanted == before) is (second < until), second
            if second >= until:
                break


@pytest.mark.parametrize("aggregation", Aggregation)
def test_a_window_that_was_not_told_of_this_second_may_change_at_once(aggregation):
    window = Window(10, aggregation)
    window.record(1.0, 5.0)

    assert window.steady_until(1.0, 0, 7.5) == 7.5
    if aggregation is Aggregation.WEIGHTED:
        assert window.steady_until(1.0, 0, 5.0) == 5.0


@pytest.mark.parametrize(
    ("change", "most"),
    [
        pytest.param({}, 30, id="long before the deadline of its start"),
        pytest.param({"progress_deadline_s": 40.0}, 45, id="until each deadline"),
        pytest.param({"panic_threshold": 1.0}, 110, id="not where one is a panic"),
        pytest.param({"panic_threshold": 1.0, "panic": False}, 30, id="of no panic"),
    ],
)
def test_a_start_that_takes_long_is_leapt_over(change, most):
    spec = replace(SPEC, **change)
    loads = [1.0] * 200 + [0.0] * 60

    walked = Play(spec, leaps=False, start_s=100)
    leapt = Play(spec, leaps=True, start_s=100)
    walked.run(loads, leaps=False)
    leapt.run(loads, leaps=True)

    assert leapt.told == walked.told
    assert leapt.decisions < most < walked.decisions


def test_an_hour_with_one_request_costs_a_few_decisions():
    loads = [1.0] * 3_600 + [0.0] * 60

    walked, leapt = Play(SPEC, leaps=False), Play(SPEC, leaps=True)
    walked.run(loads, leaps=False)
    leapt.run(loads, leaps=True)

    assert walked.decisions > 1_800
    assert leapt.decisions < 30
    assert leapt.told == walked.told


def test_nothing_is_left_out_while_somebody_has_said_nothing():
    spec = replace(SPEC, min_replicas=1)
    plays = [Play(spec, leaps=leaps) for leaps in (False, True)]
    for play, leaps in zip(plays, (False, True), strict=True):
        play.fleet.joined("activator-2", 0.0)
        play.run([1.0] * 30 + [0.0] * 300, leaps=leaps)

    assert plays[0].decisions == plays[1].decisions


def test_a_request_not_long_ago_is_another_basis_than_none():
    of = Revision(KEY, RevisionSpec(scaling=SPEC), 0.0)
    nothing = Sample(
        key=KEY, reporter=WHO, span_s=1.0, concurrency=0.0, requests=0, held=0,
        in_flight=0, epoch=0, version=0,
    )  # fmt: skip
    found = {}
    for second in range(1, 15):
        of.heard(nothing, float(second))
        of.used_at = 1.0
        found[second] = quiet.Windows().foresee(of, [WHO], 0, float(second), 2.0)

    assert found[6] == (12.0, (-1, False))
    assert found[12] == (13.0, (-1, True))
    assert found[13] == (inf, (0, True))


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.sampled_from([0.1, 0.25, 1.0, 2.0]))
def test_ticks_are_the_very_numbers_that_steps_give(since, length, tick_s):
    length = min(length, 5_000 * tick_s)
    at = since + tick_s
    before = since
    while at < since + length:
        before, at = at, at + tick_s

    assert quiet.ticks(since, since + length, tick_s) == (before, at)
