from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.decide import DeciderState
from autoscaler.core.domain import Metric, Mode, Observation, ScalingSpec
from autoscaler.core.hpa import decide_usage

SPEC = ScalingSpec(metric=Metric.CPU, total_value=80, min_replicas=0, max_replicas=9)
BUSY = Observation(stable=3, panic=3, ready=4)


@pytest.mark.parametrize(
    ("percent", "desired"),
    [
        pytest.param(80.0, 4, id="at the target"),
        pytest.param(88.0, 4, id="a tenth over is tolerated"),
        pytest.param(72.0, 4, id="a tenth under is tolerated"),
        pytest.param(89.0, 5, id="more than a tenth over"),
        pytest.param(160.0, 8, id="twice the target"),
        pytest.param(60.0, 3, id="three quarters"),
        pytest.param(0.0, 1, id="unused but with requests"),
        pytest.param(None, 4, id="not known"),
    ],
)
def test_replicas_follow_the_ratio_to_the_target(percent: float | None, desired: int):
    _, decision = decide_usage(SPEC, DeciderState(), BUSY, percent, now=0.0)

    assert decision.desired == desired
    assert decision.mode is Mode.STABLE


def test_only_idleness_asks_for_zero():
    idle = replace(BUSY, stable=0.0)

    _, may_sleep = decide_usage(SPEC, DeciderState(), idle, 300.0, now=0.0)
    _, stays = decide_usage(
        replace(SPEC, min_replicas=1), DeciderState(), idle, 10.0, now=0.0
    )

    assert (may_sleep.desired, may_sleep.reason) == (0, "idle for 60 s")
    assert stays.desired == 1


def test_a_reason_says_use_and_target():
    _, known = decide_usage(SPEC, DeciderState(), BUSY, 130.0, now=0.0)
    _, unknown = decide_usage(SPEC, DeciderState(), BUSY, None, now=0.0)

    assert known.reason == "130 % in use against 80 % wanted, 4 ready"
    assert unknown.reason == "use not known"


def test_the_scale_down_delay_holds_here_too():
    spec = replace(SPEC, scale_down_delay_s=60)
    state, first = decide_usage(spec, DeciderState(), BUSY, 160.0, now=0.0)

    state, held = decide_usage(spec, state, BUSY, 20.0, now=30.0)
    _, let_go = decide_usage(spec, state, BUSY, 20.0, now=62.0)

    assert (first.desired, held.desired, let_go.desired) == (8, 8, 1)
    assert held.reason.endswith("; 8 for a scale-down delay")


@given(
    percent=st.floats(0, 1000),
    more=st.floats(0, 1000),
    ready=st.integers(0, 20),
)
def test_more_use_never_wants_fewer_and_never_none(
    percent: float, more: float, ready: int
):
    seen = replace(BUSY, ready=ready)

    _, less = decide_usage(SPEC, DeciderState(), seen, percent, now=0.0)
    _, most = decide_usage(SPEC, DeciderState(), seen, percent + more, now=0.0)

    assert 1 <= less.desired <= most.desired
