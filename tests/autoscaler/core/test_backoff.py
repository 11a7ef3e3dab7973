from math import inf

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.backoff import PATIENT, SETTLED_S, Backoff
from autoscaler.core.domain import StartFailure

CRASH = StartFailure(reason="exit status 1", final=False)
NO_MODULE = StartFailure(reason="ModuleNotFoundError: vllm", final=True)
SLOW = StartFailure(reason="not ready within 600 s", final=False)
GAPS = st.floats(min_value=0.0, max_value=1000.0)


def after(failures: int, limit_s: float = 300.0) -> Backoff:
    """Return what is known after so many attempts, each made as soon as allowed."""
    backoff, now = Backoff(), 100.0
    for _ in range(failures):
        backoff = backoff.failed(CRASH, limit_s, now)
        now = backoff.until
    return backoff


def test_a_revision_that_never_failed_may_start_and_refuses_nobody():
    backoff = Backoff()

    assert backoff.until == -inf
    assert not backoff.refuses


def test_waits_double_up_to_the_limit():
    backoff, now, waits = Backoff(), 100.0, []
    for _ in range(11):
        backoff = backoff.failed(CRASH, 300.0, now)
        waits.append(backoff.until - now)
        now = backoff.until

    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_a_thousand_failures_wait_no_longer_than_the_limit():
    backoff, now = Backoff(), 0.0
    for _ in range(1000):
        backoff = backoff.failed(CRASH, 1e9, now)
        assert backoff.until - now <= 1e9
        now = backoff.until

    assert backoff.count == 1000


@given(st.lists(GAPS, min_size=1, max_size=40), st.floats(min_value=1.0, max_value=500))
def test_the_wait_grows_is_bounded_and_never_gets_shorter(gaps, limit_s):
    backoff, now, wait_s = Backoff(), 0.0, 0.0
    for gap in gaps:
        now += gap
        before = backoff
        backoff = backoff.failed(CRASH, limit_s, now)

        assert backoff.until >= before.until
        assert now < backoff.until <= now + limit_s
        if now >= before.until:
            assert backoff.until - now >= wait_s - 1e-6
            wait_s = backoff.until - now


def test_failures_within_the_wait_are_those_of_one_attempt():
    once = Backoff().failed(CRASH, 300.0, now=100.0)

    again = once.failed(SLOW, 300.0, now=100.5)

    assert (again.count, again.until) == (1, 101.0)
    assert again.reason == "not ready within 600 s"


def test_a_failure_at_the_end_of_the_wait_is_one_more():
    once = Backoff().failed(CRASH, 300.0, now=100.0)

    again = once.failed(CRASH, 300.0, now=101.0)

    assert (again.count, again.until) == (2, 103.0)


def test_a_final_failure_refuses_at_once():
    backoff = Backoff().failed(NO_MODULE, 300.0, now=100.0)

    assert backoff.refuses
    assert backoff.reason == "ModuleNotFoundError: vllm"


def test_failures_that_may_pass_refuse_when_patience_ends():
    refusing = [after(failures).refuses for failures in range(PATIENT + 2)]

    assert refusing == [False] * PATIENT + [True, True]


def test_the_newest_failure_says_whether_it_is_final():
    backoff = Backoff().failed(NO_MODULE, 300.0, now=100.0)

    backoff = backoff.failed(CRASH, 300.0, now=101.0)

    assert backoff.reason == "exit status 1"
    assert not backoff.refuses


def test_a_ready_replica_ends_the_wait_and_the_refusal():
    backoff = after(PATIENT).ready(now=200.0)

    assert backoff.until == -inf
    assert backoff.reason == ""
    assert not backoff.refuses


def test_ready_after_no_failure_is_nothing_to_remember():
    backoff = Backoff()

    assert backoff.ready(now=100.0) is backoff


def test_a_replica_that_dies_before_it_settled_goes_on_counting():
    backoff = after(4).ready(now=200.0)

    soon = backoff.failed(CRASH, 300.0, now=200.0 + SETTLED_S - 1.0)

    assert soon.count == 5
    assert soon.until - (200.0 + SETTLED_S - 1.0) == 16.0


def test_failures_count_anew_once_a_replica_has_settled():
    backoff = after(4).ready(now=200.0)

    late = backoff.failed(CRASH, 300.0, now=200.0 + SETTLED_S)

    assert (late.count, late.until) == (1, 200.0 + SETTLED_S + 1.0)
    assert not late.refuses


def test_a_second_ready_replica_does_not_put_off_settling():
    backoff = after(4).ready(now=200.0).ready(now=209.0)

    assert backoff.failed(CRASH, 300.0, now=210.0).count == 1


@given(st.lists(st.tuples(GAPS, st.booleans()), max_size=40))
def test_a_start_that_always_fails_is_allowed_again_in_time(calls):
    backoff, now = Backoff(), 0.0
    for gap, ready in calls:
        now += gap
        backoff = backoff.ready(now) if ready else backoff.failed(CRASH, 300.0, now)

        assert backoff.until <= now + 300.0
