from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.commands import Status
from autoscaler.core.domain import RevisionKey

COUNT = st.integers(0, 20)


@given(desired=COUNT, ready=COUNT, starting=COUNT)
def test_allowed_are_those_desired_for_which_something_is_there_or_on_its_way(
    desired, ready, starting
):
    status = Status(
        key=RevisionKey("a", "b"), state="ready", min=0, max=0, desired=desired,
        ready=ready, starting=starting, draining=0, in_flight=0, held=0,
        mode="stable", reason="",
    )  # fmt: skip

    assert status.allowed <= desired
    assert (status.allowed < desired) == (ready + starting < desired)
    assert status.allowed <= ready + starting
