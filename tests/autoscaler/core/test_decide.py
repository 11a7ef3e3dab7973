from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.decide import DeciderState, decide, decide_at
from autoscaler.core.domain import Metric, Mode, Observation, ScalingSpec
from tests.vectors.sections import section

SPEC = ScalingSpec(total_value=10, target_utilization=0.7, max_replicas=0)
NOW = 1_000_000.0  # an even second, as the cases' t = 0


def scaling(recorded: dict[str, Any]) -> ScalingSpec:
    return ScalingSpec(
        metric=Metric(recorded["metric"]),
        total_value=recorded["total_value"],
        target_burst_capacity=recorded["target_burst_capacity"],
        panic_threshold=recorded["panic_threshold"],
        max_scale_up_rate=recorded["max_scale_up_rate"],
        max_scale_down_rate=recorded["max_scale_down_rate"],
        stable_window_s=recorded["stable_window_s"],
        reachable=recorded["reachable"],
        activation_scale=recorded["activation_scale"],
        scale_down_delay_s=recorded["scale_down_delay_s"],
    )


def decides(case: dict[str, Any]) -> bool:
    """Leave out what ends before a decision: no load known, or no pods counted."""
    return all(step["expect"]["valid"] for step in case["steps"])


@pytest.mark.parametrize(
    "case",
    [case for case in section("autoscaler_scale") if decides(case)],
    ids=lambda case: case["name"],
)
def test_decisions_are_knatives(case: dict[str, Any]):
    recorded = dict(case["spec"])
    state = DeciderState.fresh(scaling(recorded), case["ctor_ready"], now=NOW)
    if "prep" in case:
        state = DeciderState(
            panic_since=NOW + case["prep"]["panic_time"],
            most=case["prep"]["max_panic_pods"],
        )

    for step in case["steps"]:
        recorded |= step.get("update_spec", {})
        seen = Observation(
            stable=step["stable"], panic=step["panic"], ready=step["ready"]
        )
        state, decision = decide_at(
            scaling(recorded),
            recorded["target_value"],
            state,
            seen,
            now=NOW + step["t"],
        )

        assert decision.desired == step["expect"]["desired"]
        # As Knative's own test: one more or less.
        assert abs(decision.excess_burst_capacity - step["expect"]["ebc"]) <= 1
        assert (state.panic_since is not None) == step["panic_after"]
        if "panic_time_after" in step:
            assert state.panic_since == NOW + step["panic_time_after"]


def test_only_two_recorded_cases_end_before_a_decision():
    left_out = [
        case["name"] for case in section("autoscaler_scale") if not decides(case)
    ]

    assert left_out == ["NoDataNoAutoscale", "CantCountPods"]


@pytest.mark.parametrize("case", section("autoscaler_constructor"), ids=str)
def test_a_fresh_decider_is_knatives(case: dict[str, Any]):
    ready = 0 if case["ready"] == "error" else case["ready"]

    state = DeciderState.fresh(SPEC, ready, now=NOW)

    assert (state.panic_since is not None) == case["panic"]
    assert state.most == case["max_panic_pods"]


@pytest.mark.parametrize(
    ("spec", "seen", "reason"),
    [
        pytest.param(
            SPEC,
            Observation(stable=0, panic=0, ready=1),
            "idle for 60 s",
            id="no load",
        ),
        pytest.param(
            SPEC,
            Observation(stable=10.5, panic=10.5, ready=2),
            "10.5 in flight over 60 s against 7 wanted per replica",
            id="a load",
        ),
        pytest.param(
            replace(SPEC, metric=Metric.RPS),
            Observation(stable=10, panic=10, ready=2),
            "10 requests/s over 60 s against 7 wanted per replica",
            id="requests",
        ),
        pytest.param(
            SPEC,
            Observation(stable=7, panic=42, ready=2),
            "panic: 42 in flight over 6 s against 7 wanted per replica",
            id="panic",
        ),
        pytest.param(
            replace(SPEC, max_scale_up_rate=1.5),
            Observation(stable=70, panic=20, ready=2),
            "70 in flight over 60 s against 7 wanted per replica; "
            "3 at once, 1.5 times the ready ones",
            id="up rate",
        ),
        pytest.param(
            SPEC,
            Observation(stable=0, panic=0, ready=9),
            "idle for 60 s; 4 at once, the ready ones over 2",
            id="down rate",
        ),
        pytest.param(
            replace(SPEC, activation_scale=3),
            Observation(stable=1, panic=1, ready=1),
            "1 in flight over 60 s against 7 wanted per replica; "
            "never fewer than 3 when awake",
            id="activation scale",
        ),
    ],
)
def test_a_reason_says_what_was_seen_and_what_bound_it(
    spec: ScalingSpec, seen: Observation, reason: str
):
    _, decision = decide(spec, DeciderState(), seen, now=NOW)

    assert decision.reason == reason


def test_what_is_kept_from_a_burst_is_said():
    state = DeciderState(panic_since=NOW - 10, most=12)

    _, decision = decide(SPEC, state, Observation(stable=7, panic=7, ready=9), now=NOW)

    assert decision.desired == 12
    assert decision.reason == (
        "panic: 7 in flight over 6 s against 7 wanted per replica; "
        "12 since a burst, for 60 s"
    )


def test_what_is_kept_by_the_scale_down_delay_is_said():
    spec = replace(SPEC, scale_down_delay_s=30)
    state, _ = decide(
        spec, DeciderState(), Observation(stable=20, panic=20, ready=3), now=NOW
    )

    _, decision = decide(
        spec, state, Observation(stable=1, panic=1, ready=1), now=NOW + 10
    )

    assert decision.desired == 3
    assert decision.reason.endswith("; 3 for a scale-down delay of 30 s")


def test_a_delay_that_is_turned_off_lets_go_at_once():
    delayed = replace(SPEC, scale_down_delay_s=30)
    idle = Observation(stable=0, panic=0, ready=1)
    state, _ = decide(
        delayed, DeciderState(), Observation(stable=20, panic=20, ready=3), now=NOW
    )

    state, decision = decide(SPEC, state, idle, now=NOW + 2)

    assert decision.desired == 0
    assert state == DeciderState()


def test_with_panic_off_only_the_stable_window_is_heard():
    spec = replace(SPEC, panic=False)
    burst = Observation(stable=7, panic=700, ready=1)

    state, decision = decide(spec, DeciderState.fresh(spec, 5, now=NOW), burst, now=NOW)

    assert decision.desired == 1
    assert decision.mode is Mode.STABLE
    assert state.panic_since is None


def test_panic_that_is_turned_off_ends_at_once():
    panicking = DeciderState(panic_since=NOW, most=12)
    spec = replace(SPEC, panic=False)

    state, decision = decide(
        spec, panicking, Observation(stable=7, panic=7, ready=1), now=NOW + 2
    )

    assert (state, decision.desired) == (DeciderState(), 1)


def test_starting_replicas_can_count_against_panic():
    burst = Observation(stable=7, panic=21, ready=1, starting=2)
    counting = replace(SPEC, count_starting=True)

    _, knatives = decide(SPEC, DeciderState(), burst, now=NOW)
    _, patient = decide(counting, DeciderState(), burst, now=NOW)

    assert (knatives.mode, knatives.desired) == (Mode.PANIC, 3)
    assert (patient.mode, patient.desired) == (Mode.STABLE, 1)


def test_panic_ends_only_when_more_than_a_stable_window_has_passed():
    state = DeciderState(panic_since=NOW, most=12)
    calm = Observation(stable=7, panic=7, ready=12)

    state, still = decide(SPEC, state, calm, now=NOW + 60)
    _, over = decide(SPEC, state, calm, now=NOW + 60.5)

    assert (still.mode, still.desired) == (Mode.PANIC, 12)
    assert (over.mode, over.desired) == (Mode.STABLE, 6)  # halved: the down rate


loads = st.floats(min_value=0, max_value=1e5)
counts = st.integers(min_value=0, max_value=50)
specs = st.builds(
    ScalingSpec,
    total_value=st.floats(0.01, 500),
    target_utilization=st.floats(0.05, 1),
    max_replicas=st.just(0),
    activation_scale=st.integers(1, 6),
    stable_window_s=st.sampled_from([6, 30, 60]),
    panic_threshold=st.floats(1.1, 10),
    panic=st.booleans(),
    count_starting=st.booleans(),
    max_scale_up_rate=st.floats(1.1, 1000),
    max_scale_down_rate=st.floats(1.1, 10),
    scale_down_delay_s=st.sampled_from([0, 0, 7, 30]),
    target_burst_capacity=st.sampled_from([-1.0, 0.0, 211.0]),
    reachable=st.booleans(),
)
observations = st.builds(
    Observation, stable=loads, panic=loads, ready=counts, starting=counts
)


@given(spec=specs, seen=observations, more=st.tuples(loads, loads))
def test_more_load_never_wants_fewer(
    spec: ScalingSpec, seen: Observation, more: tuple[float, float]
):
    busier = replace(seen, stable=seen.stable + more[0], panic=seen.panic + more[1])
    state = DeciderState.fresh(spec, seen.ready, now=NOW)

    _, less = decide(spec, state, seen, now=NOW + 2)
    _, most = decide(spec, state, busier, now=NOW + 2)

    assert most.desired >= less.desired


@given(
    spec=specs,
    history=st.lists(st.tuples(st.floats(0.5, 20), observations), min_size=2),
)
def test_panic_never_scales_down(
    spec: ScalingSpec, history: list[tuple[float, Observation]]
):
    # A delay may still hold a higher number from before the panic, and let go in it.
    spec = replace(spec, scale_down_delay_s=0)
    state, now, before = DeciderState(), NOW, -1
    for later, seen in history:
        now += later
        state, decision = decide(spec, state, seen, now=now)

        if decision.mode is Mode.PANIC:
            assert decision.desired >= before
            before = decision.desired
        else:
            before = -1


@given(spec=specs, seen=observations)
def test_a_first_decision_stays_within_the_rates(spec: ScalingSpec, seen: Observation):
    _, decision = decide(spec, DeciderState(), seen, now=NOW)

    ready = max(1, seen.ready)
    up = max(-(-spec.max_scale_up_rate * ready // 1), spec.activation_scale)
    down = ready // spec.max_scale_down_rate if spec.reachable else 0
    assert down <= decision.desired <= up


@given(spec=specs, seen=observations, ready=counts)
def test_deciding_twice_at_one_instant_is_deciding_once(
    spec: ScalingSpec, seen: Observation, ready: int
):
    state = DeciderState.fresh(spec, ready, now=NOW)

    once = decide(spec, state, seen, now=NOW + 5)
    twice = decide(spec, once[0], seen, now=NOW + 5)

    assert twice == once


@given(spec=specs, seen=observations)
def test_no_load_wants_none_once_nothing_is_left_to_take_down(
    spec: ScalingSpec, seen: Observation
):
    idle = replace(seen, stable=0.0, panic=0.0, ready=min(seen.ready, 1))

    _, decision = decide(spec, DeciderState(), idle, now=NOW)

    assert decision.desired == 0
    assert decision.reason == f"idle for {spec.stable_window_s} s"
