from dataclasses import replace
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.decide import DeciderState, decide
from autoscaler.core.domain import Aggregation, Observation, ScalingSpec
from autoscaler.core.window import Window
from autoscaler.core.zero import Phase, ZeroState, initial_scale, settle
from tests.vectors.sections import section

NOW = 100_000.0
PHASE = {
    "active": Phase.AWAKE,
    "activating": Phase.WAKING,
    "inactive": Phase.ASLEEP,
}
SPEC = ScalingSpec(min_replicas=0, max_replicas=10, stable_window_s=60)
AWAKE = ZeroState(phase=Phase.AWAKE, since=NOW, initialised=True)


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def scaler_spec(case: dict[str, Any], config: dict[str, Any]) -> ScalingSpec:
    asked, changed = case["annotations"], case["config_override"]
    retention = changed.get("scale-to-zero-pod-retention-period_s", 0)
    return ScalingSpec(
        min_replicas=case["min_scale"],
        max_replicas=case["max_scale"],
        initial_scale=int(asked.get("initial-scale", config["initial_scale"])),
        stable_window_s=int(
            seconds(asked.get("window", f"{config['stable_window_s']}s"))
        ),
        grace_s=config["scale_to_zero_grace_period_s"],
        retention_s=seconds(
            asked.get("scale-to-zero-pod-retention-period", str(retention))
        ),
        progress_deadline_s=seconds(
            asked.get("progress-deadline", f"{config['progress_deadline_s']}s")
        ),
        scale_to_zero=changed.get("enable-scale-to-zero", True),
        reachable=case["reachability"] != "Unreachable",
    )


@pytest.mark.parametrize(
    "case",
    # Two cases are about probing whether Knative's activator is in the path.
    [
        case
        for case in section("kpa_scaler")["cases"]
        if case["activator_probe"] in ("ok", "must_not_be_called")
    ],
    ids=lambda case: case["name"],
)
def test_the_way_to_zero_is_knatives(case: dict[str, Any]):
    spec = scaler_spec(case, section("kpa_scaler")["config"])
    phase = PHASE[case["pa_state"]]
    state = ZeroState(
        phase=phase,
        since=NOW - case["pa_state_age_s"],
        initialised=case["scale_target_initialized"],
        proxied_since=NOW - case["sks"]["proxy_for_s"],
    )
    desired = None if case["decider_desired"] < 0 else case["decider_desired"]
    ready = 0 if phase is Phase.WAKING else case["replicas"]

    after, settled = settle(spec, state, desired, ready, now=NOW)

    expected = case["expect"]
    if expected["patch_replicas"]:
        assert settled.replicas == expected["want"]
    else:
        assert settled.replicas in (None, case["replicas"])
    if expected["requeues"]:
        assert NOW < settled.again_at < inf
    if expected["want"] == 0:
        assert after.phase is Phase.ASLEEP


DELIBERATE = {
    # Ready replicas are looked at first, so that asking twice at one instant gives one
    # answer: a start that is ready has not failed, and an initial scale that is
    # reached binds no more.
    "activation failure",
    "initial 20 reached",
}
OBJECTS = {"sks does not exist"}  # about an object that only Knative has


@pytest.mark.parametrize(
    "case",
    [
        case
        for case in section("kpa_reconcile")["cases"]
        if case["name"] not in DELIBERATE | OBJECTS
    ],
    ids=lambda case: case["name"],
)
def test_what_is_applied_and_the_phase_after_are_knatives(case: dict[str, Any]):
    config = section("kpa_reconcile")["config"]
    phase, _, age = case.get("pa", "active").partition(" ")
    spec = ScalingSpec(
        min_replicas=case.get("min_scale", 0),
        max_replicas=0,
        initial_scale=case.get("initial_scale", 1),
        stable_window_s=config["stable_window_s"],
        grace_s=config["grace_s"],
        progress_deadline_s=config["progress_deadline_s"],
        reachable="unreachable" not in case["name"],
    )
    state = ZeroState(
        phase=PHASE[phase],
        since=NOW - (3600 if age == ">=1h" else 0),
        initialised="initial_scale" not in case,
    )
    if "minScale 2" in case["name"]:
        case = {"pa_after": case["pa_after"], **case, "patch_replicas": 11}
    desired = None if case["desired"] < 0 else case["desired"]

    after, settled = settle(spec, state, desired, case["ready"], now=NOW)

    if "patch_replicas" in case:
        assert settled.replicas == case["patch_replicas"]
    if "want" in case:
        assert settled.replicas == case["want"]
    if "pa_after" in case:
        assert case["pa_after"].startswith(
            next(name for name, phase in PHASE.items() if phase is after.phase)
        )


def test_a_reached_initial_scale_and_a_late_ready_replica_count_at_once():
    names = {case["name"] for case in section("kpa_reconcile")["cases"]}
    twenty = replace(SPEC, initial_scale=20, max_replicas=0)
    waking = ZeroState(phase=Phase.WAKING, since=NOW - 3600)

    reached = settle(twenty, waking, 11, 20, now=NOW)
    late = settle(SPEC, waking, 0, 1, now=NOW)

    assert names >= DELIBERATE | OBJECTS
    assert (reached[0].phase, reached[1].replicas) == (Phase.AWAKE, 11)
    assert (late[0].phase, late[1].replicas) == (Phase.AWAKE, 1)


@pytest.mark.parametrize(
    ("had", "row"),
    [
        pytest.param(had, row, id=f"{had}: {row}")
        for row in section("active_condition")
        for had in PHASE
        if row["had"] in ("any", had)
    ],
)
def test_the_phase_is_knatives(had: str, row: dict[str, Any]):
    least = {"any": 0, ">0": 2, 0: 0}[row["min"]]
    # Only a revision whose initial scale is 0 needs no ready replica.
    born_asleep = row["min"] == 0
    spec = replace(SPEC, min_replicas=least, initial_scale=0 if born_asleep else 1)
    needed = 0 if born_asleep else max(least, 1)
    ready = needed if row["ready"] == ">=min" else max(needed - 1, 0)
    desired = {0: 0, ">0": 3, -1: None}[row["want"]]
    age = 100  # longer than the window, shorter than the progress deadline
    if desired == 0:
        # Knative's scaler wants 0 of a waking revision past its deadline only, and a
        # revision that is awake has a ready replica.
        age, ready = 3600, int(had == "active")
    state = ZeroState(phase=PHASE[had], since=NOW - age, initialised=not born_asleep)

    after, _ = settle(spec, state, desired, ready, now=NOW)

    assert after.phase is PHASE[row["expect"]]


@pytest.mark.parametrize("case", section("initial_scale_resolution"), ids=str)
def test_an_initial_scale_of_zero_must_be_allowed(case: dict[str, Any]):
    found = initial_scale(
        case["annotation"], case["cluster"], allow_zero=case["allow_zero"]
    )

    assert found == case["expect"]


def test_a_revision_born_asleep_asks_for_nothing():
    spec = replace(SPEC, initial_scale=0)
    state = ZeroState.fresh(spec, now=NOW)

    after, settled = settle(spec, state, 0, 0, now=NOW)

    assert state.phase is Phase.ASLEEP
    assert (after, settled.replicas, settled.again_at) == (state, 0, inf)


@pytest.mark.parametrize("desired", [None, 0, 1])
def test_a_revision_is_born_with_its_initial_scale(desired: int | None):
    state = ZeroState.fresh(SPEC, now=NOW)

    after, settled = settle(SPEC, state, desired, 0, now=NOW)

    assert after.phase is Phase.WAKING
    assert settled.replicas == 1
    assert settled.again_at == NOW + SPEC.progress_deadline_s


def test_an_initial_scale_binds_until_it_was_ready_once():
    spec = replace(SPEC, initial_scale=3)
    state = ZeroState.fresh(spec, now=NOW)

    state, waking = settle(spec, state, 1, 2, now=NOW + 5)
    state, awake = settle(spec, state, 1, 3, now=NOW + 6)
    state, later = settle(spec, state, 1, 1, now=NOW + 8)

    assert (waking.replicas, waking.reason) == (3, "initial scale 3")
    assert awake.replicas == 1
    assert (later.replicas, state.phase) == (1, Phase.AWAKE)


def test_an_initial_scale_above_the_maximum_is_the_maximum():
    spec = replace(SPEC, initial_scale=3, max_replicas=2)
    state = ZeroState.fresh(spec, now=NOW)

    state, waking = settle(spec, state, 1, 1, now=NOW)
    state, _ = settle(spec, state, 1, 2, now=NOW + 1)

    assert (waking.replicas, waking.reason) == (2, "at most 2 (maxReplicas)")
    assert state.phase is Phase.AWAKE


@pytest.mark.parametrize(
    ("spec", "desired", "replicas", "reason"),
    [
        pytest.param(SPEC, 4, 4, "", id="nothing binds"),
        pytest.param(SPEC, 40, 10, "at most 10 (maxReplicas)", id="maximum"),
        pytest.param(SPEC, 10, 10, "", id="just the maximum"),
        pytest.param(replace(SPEC, max_replicas=0), 40, 40, "", id="no maximum"),
        pytest.param(
            replace(SPEC, min_replicas=2),
            1,
            2,
            "at least 2 (minReplicas)",
            id="minimum",
        ),
        pytest.param(
            replace(SPEC, scale_to_zero=False),
            0,
            1,
            "scale to zero is off",
            id="never to zero",
        ),
        pytest.param(SPEC, None, None, "load not known", id="not known"),
    ],
)
def test_a_bound_says_so(
    spec: ScalingSpec, desired: int | None, replicas: int | None, reason: str
):
    _, settled = settle(spec, AWAKE, desired, 2, now=NOW + 3600)

    assert (settled.replicas, settled.reason, settled.again_at) == (
        replicas,
        reason,
        inf,
    )


def test_to_zero_it_goes_by_window_then_grace_and_retention():
    spec = replace(SPEC, grace_s=30, retention_s=45)

    state, kept = settle(spec, AWAKE, 0, 3, now=NOW + 59)
    state, last = settle(spec, state, 0, 3, now=NOW + 60)
    state, still = settle(spec, state, 0, 1, now=NOW + 104)
    state, gone = settle(spec, state, 0, 1, now=NOW + 105)

    assert (kept.replicas, kept.again_at) == (1, NOW + 60)
    assert (last.replicas, last.again_at) == (1, NOW + 105)
    assert last.reason == "last replica kept for 45 s (retention)"
    assert still.replicas is None
    assert (gone.replicas, gone.again_at, state.empty) == (0, inf, True)


def test_once_zero_was_asked_for_a_longer_grace_brings_nothing_back():
    state = ZeroState(phase=Phase.ASLEEP, since=NOW, initialised=True, empty=True)

    _, settled = settle(replace(SPEC, grace_s=900), state, 0, 0, now=NOW + 1)

    assert settled.replicas == 0


def test_the_grace_is_over_when_everything_came_by_the_activator_that_long():
    state = replace(AWAKE, proxied_since=NOW - 100)

    state, settled = settle(SPEC, state, 0, 1, now=NOW + 60)

    assert settled.replicas == 0


def test_load_wakes_a_sleeper_from_grace_and_from_zero():
    for empty, ready, phase in [(False, 1, Phase.AWAKE), (True, 0, Phase.WAKING)]:
        state = ZeroState(phase=Phase.ASLEEP, since=NOW, initialised=True, empty=empty)

        after, settled = settle(SPEC, state, 2, ready, now=NOW + 5)

        assert (after.phase, after.since, after.empty) == (phase, NOW + 5, False)
        assert settled.replicas == 2


def test_a_minimum_that_is_raised_wakes_a_sleeper():
    state = ZeroState(phase=Phase.ASLEEP, since=NOW, initialised=True, empty=True)

    after, settled = settle(replace(SPEC, min_replicas=1), state, 0, 0, now=NOW + 5)

    assert (after.phase, settled.replicas) == (Phase.WAKING, 1)


def test_a_wake_that_has_begun_is_completed_though_nobody_waits():
    state = ZeroState(phase=Phase.WAKING, since=NOW, initialised=True)

    state, waits = settle(SPEC, state, 0, 0, now=NOW + 5)
    state, stays = settle(SPEC, state, 0, 1, now=NOW + 6)

    assert (waits.replicas, waits.reason) == (
        None,
        "a wake that has begun is completed",
    )
    assert (stays.replicas, stays.again_at) == (1, NOW + 66)


def test_a_start_past_its_deadline_goes_to_zero_and_says_why():
    state = ZeroState(phase=Phase.WAKING, since=NOW, initialised=True)

    after, settled = settle(SPEC, state, 0, 0, now=NOW + 600)

    assert (after.phase, settled.replicas) == (Phase.ASLEEP, 0)
    assert settled.reason == "not ready within 600 s"
    assert settled.overdue


def test_a_wanted_start_past_its_deadline_is_overdue_and_still_wanted():
    state = ZeroState(phase=Phase.WAKING, since=NOW, initialised=True)

    _, before = settle(SPEC, state, 1, 0, now=NOW + 599)
    _, after = settle(SPEC, state, 1, 0, now=NOW + 600)

    assert (before.replicas, before.overdue, before.again_at) == (1, False, NOW + 600)
    assert (after.replicas, after.overdue, after.again_at) == (1, True, inf)


def test_a_lost_replica_is_a_wake_again():
    after, settled = settle(SPEC, AWAKE, 1, 0, now=NOW + 5)

    assert (after.phase, after.since, settled.replicas) == (Phase.WAKING, NOW + 5, 1)


def test_an_unreachable_revision_has_no_minimum_and_no_retention():
    spec = replace(SPEC, min_replicas=2, retention_s=600, reachable=False)

    state, _ = settle(spec, AWAKE, 0, 1, now=NOW + 60)
    _, settled = settle(spec, state, 0, 1, now=NOW + 90)

    assert settled.replicas == 0


def test_an_unreachable_new_revision_is_not_started_for_its_initial_scale():
    spec = replace(SPEC, reachable=False)

    _, settled = settle(spec, ZeroState.fresh(spec, now=NOW), 0, 0, now=NOW + 1)

    assert settled.replicas is None


bounds = st.tuples(st.integers(0, 4), st.integers(0, 6)).map(
    lambda pair: (pair[0], pair[0] + pair[1])
)
specs = st.builds(
    lambda bounds, **rest: ScalingSpec(
        min_replicas=bounds[0], max_replicas=max(bounds[1], 1), **rest
    ),
    bounds,
    initial_scale=st.integers(0, 5),
    stable_window_s=st.sampled_from([6, 20, 60]),
    grace_s=st.sampled_from([0.0, 5.0, 30.0]),
    retention_s=st.sampled_from([0.0, 0.0, 17.0]),
    progress_deadline_s=st.sampled_from([5.0, 40.0]),
    scale_to_zero=st.booleans(),
    reachable=st.booleans(),
)
steps = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 2.0, 10.0, 70.0]),
        st.none() | st.integers(0, 9),
        st.integers(0, 6),
    ),
    min_size=1,
    max_size=30,
)
Steps = list[tuple[float, int | None, int]]


@given(spec=specs, steps=steps)
def test_replicas_stay_within_their_bounds(spec: ScalingSpec, steps: Steps):
    state, now = ZeroState.fresh(spec, now=NOW), NOW
    for later, desired, ready in steps:
        now += later
        state, settled = settle(spec, state, desired, ready, now=now)

        least = spec.min_replicas if spec.reachable else 0
        if settled.replicas is not None:
            assert least <= settled.replicas <= spec.max_replicas
            assert settled.replicas > 0 or spec.scale_to_zero
        assert settled.again_at > now


@given(spec=specs, steps=steps)
def test_settling_twice_at_one_instant_is_settling_once(
    spec: ScalingSpec, steps: Steps
):
    state, now = ZeroState.fresh(spec, now=NOW), NOW
    for later, desired, ready in steps:
        now += later
        state, once = settle(spec, state, desired, ready, now=now)
        again, twice = settle(spec, state, desired, ready, now=now)

        assert again == state
        if desired is not None:
            assert twice.replicas == once.replicas
            assert twice.again_at == once.again_at


@given(spec=specs, steps=steps)
def test_zero_comes_only_after_a_window_awake_and_the_grace(
    spec: ScalingSpec, steps: Steps
):
    state, now = ZeroState.fresh(spec, now=NOW), NOW
    awake_since = asleep_since = now
    for later, desired, ready in steps:
        now += later
        before = state
        state, settled = settle(spec, state, desired, ready, now=now)

        if state.phase is Phase.AWAKE and before.phase is not Phase.AWAKE:
            awake_since = now
        if state.phase is Phase.ASLEEP and before.phase is not Phase.ASLEEP:
            asleep_since = now
            if before.phase is Phase.AWAKE:
                assert now - awake_since >= spec.stable_window_s
        if settled.replicas == 0 and not before.empty and not settled.overdue:
            kept = max(spec.grace_s, spec.retention_s if spec.reachable else 0.0)
            assert now - asleep_since >= kept


@given(
    loads=st.lists(st.sampled_from([0, 0, 0, 0, 3, 40]), min_size=5, max_size=60),
    grace=st.sampled_from([0, 4]),
)
def test_a_replica_is_let_go_only_when_no_load_was_seen_for_a_full_window(
    loads: list[int], grace: int
):
    spec = replace(SPEC, stable_window_s=6, total_value=10, grace_s=grace)
    stable, panic = (Window(size, Aggregation.LINEAR) for size in (6, 1))
    decider, zero = DeciderState(), ZeroState.fresh(spec, now=0.0)
    replicas = 0
    heard: list[int] = []
    for second, load in enumerate(loads):
        heard.append(load)
        stable.record(load, now=float(second))
        panic.record(load, now=float(second))
        now = second + 0.5
        seen = Observation(
            stable=stable.average(now), panic=panic.average(now), ready=replicas
        )
        decider, decision = decide(spec, decider, seen, now=now)
        zero, settled = settle(spec, zero, decision.desired, replicas, now=now)

        if settled.replicas == 0 and replicas > 0:
            assert len(heard) > 6 + grace
            assert not any(heard[-6 - grace :])
        if load and not any(heard[-7:-1]):
            assert settled.replicas  # what is wanted again is there again
        if settled.replicas is not None:
            replicas = settled.replicas
