from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.learned import Learned
from autoscaler.core.domain import RevisionKey

KEY = RevisionKey("production", "iris")


@given(starts=st.lists(st.floats(0.1, 1000.0), min_size=1, max_size=9))
def test_what_is_learned_lies_among_what_was_seen(starts):
    learned, now = Learned(), 0.0
    for took in starts:
        learned.ordered(KEY, 1, 0, now)
        learned.ready(KEY, now + took)
        now += took

    assert min(starts) - 1e-6 <= learned.took(KEY) <= max(starts) + 1e-6


def test_a_start_that_was_called_off_teaches_nothing():
    learned = Learned()
    learned.ordered(KEY, 1, 0, 0.0)
    learned.ordered(KEY, 0, 0, 5.0)
    learned.ready(KEY, 9.0)
    assert learned.took(KEY) == 0.0

    learned.ordered(KEY, 2, 1, 10.0)
    learned.ready(KEY, 11.0)
    assert learned.took(KEY) == 0.0


def test_what_is_forgotten_is_not_known():
    learned = Learned()
    learned.ordered(KEY, 1, 0, 0.0)
    learned.ready(KEY, 9.0)
    learned.forget(KEY)

    assert learned.took(KEY) == 0.0
