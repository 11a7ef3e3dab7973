from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.core.gate import Gate
from activator.core.holds import Holds, Limits, expired, turned_away
from activator.core.ticket import Grew, Reject, Ticket, Why
from autoscaler.core.domain import GateSpec, Probe, RevisionKey
from autoscaler.core.messages import Refusal, View

KEY = RevisionKey("ns", "llm")


def gate(name: str = "llm", refusal: Refusal | None = None, **spec) -> Gate:
    made = Gate(RevisionKey("ns", name))
    view = View(key=made.key, version=1, epoch=1, gate=GateSpec(**spec), probe=Probe(),
                refusal=refusal)  # fmt: skip
    made.see(view, 0.0)
    return made


def ticket(size: int = 0) -> Ticket:
    made = Ticket(None)
    made.size = size
    return made


def test_each_gate_and_all_together_are_bounded_in_requests():
    holds = Holds(Limits(max_held=2))
    small, big = gate("a", max_held=1), gate("b", max_held=9)
    holds.add(small, ticket(), 0.0, first=False)

    full = holds.refusal(small, ticket(), 0.0)
    assert full is not None
    assert (full.why, full.status) == (Why.FULL, 429)
    assert full.reason == "1 requests wait for ns/a, the most allowed"
    assert holds.refusal(big, ticket(), 0.0) is None

    holds.add(big, ticket(), 0.0, first=False)
    full = holds.refusal(big, ticket(), 0.0)
    assert full is not None
    assert full.reason == "2 requests wait at this activator, the most allowed"


@pytest.mark.parametrize(
    ("limits", "spec"),
    [
        pytest.param(Limits(max_held_bytes=100), {}, id="of all gates"),
        pytest.param(Limits(), {"max_held_bytes": 100}, id="of one gate"),
    ],
)
def test_bytes_are_bounded_and_given_back(limits, spec):
    holds, one = Holds(limits), gate(**spec)
    first = ticket(60)
    holds.add(one, first, 0.0, first=False)

    heavy = holds.refusal(one, ticket(41), 0.0)
    assert heavy is not None
    assert heavy.why is Why.BYTES
    assert holds.refusal(one, ticket(40), 0.0) is None

    holds.drop(one, first)
    assert one.bytes == 0
    assert holds.refusal(one, ticket(100), 0.0) is None


@pytest.mark.parametrize(
    ("limits", "spec"),
    [
        pytest.param(Limits(max_held_bytes=100), {}, id="of all gates"),
        pytest.param(Limits(), {"max_held_bytes": 100}, id="of one gate"),
    ],
)
def test_a_growing_body_stops_at_half_and_is_turned_away_beyond_the_bound(limits, spec):
    holds, one = Holds(limits), gate(**spec)
    growing = ticket()
    holds.add(one, growing, 0.0, first=False)

    assert holds.grew(one, growing, 50, 0.0) is Grew.OK
    assert holds.grew(one, growing, 1, 0.0) is Grew.PAUSE
    assert holds.grew(one, growing, 49, 0.0) is Grew.PAUSE
    answer = holds.grew(one, growing, 1, 0.0)

    assert isinstance(answer, Reject)
    assert answer.why is Why.BYTES
    assert growing.size == one.bytes == 100


STEPS = st.lists(st.tuples(st.sampled_from(["hold", "keep", "grow", "end"]),
                           st.integers(0, 60), st.integers(0, 9)))  # fmt: skip


@given(STEPS)
def test_what_is_held_and_kept_never_exceeds_the_bound_and_returns_to_zero(steps):
    holds, one = Holds(Limits(max_held_bytes=100)), gate()
    held: list[Ticket] = []
    kept: list[int] = []

    def end(number: int) -> None:
        if number < len(held):
            holds.drop(one, held.pop(number))
        elif number - len(held) < len(kept):
            holds.let_go(one, kept.pop(number - len(held)))

    for what, size, number in steps:
        coming = ticket(size)
        if what == "hold" and holds.refusal(one, coming, 0.0) is None:
            holds.add(one, coming, 0.0, first=False)
            held.append(coming)
        elif what == "keep" and not isinstance(holds.keep(one, size, 0.0), Reject):
            kept.append(size)
        elif what == "grow" and number < len(held):
            holds.grew(one, held[number], size, 0.0)
        elif what == "end":
            end(number)
        assert one.bytes == sum(each.size for each in held) + sum(kept) <= 100
    while held or kept:
        end(0)
    assert one.bytes == 0
    assert not isinstance(holds.keep(one, 100, 0.0), Reject)


def test_a_hold_limit_counts_from_the_first_hold():
    holds, one = Holds(Limits()), gate(hold_limit_s=30.0)
    waits = ticket()
    holds.add(one, waits, 10.0, first=False)
    assert holds.wake_at == 40.0
    assert holds.first == (one, waits)

    holds.drop(one, waits)
    assert holds.wake_at == float("inf")
    holds.add(one, waits, 25.0, first=True)

    assert holds.wake_at == waits.deadline == 40.0


def test_who_comes_back_is_first_and_who_comes_is_last():
    holds, one = Holds(Limits()), gate()
    a, b, c = ticket(), ticket(), ticket()
    holds.add(one, a, 0.0, first=False)
    holds.add(one, b, 0.0, first=False)
    holds.add(one, c, 0.0, first=True)

    assert list(one.queue) == [c, a, b]


def test_deadlines_of_those_who_wait_no_more_are_swept_out():
    holds, one = Holds(Limits()), gate()
    stays = ticket()
    holds.add(one, stays, 0.0, first=False)
    for _ in range(10_000):
        passing = ticket()
        holds.add(one, passing, 1.0, first=False)
        holds.drop(one, passing)

    assert len(holds._deadlines) < 100
    assert holds.wake_at == 300.0


def test_a_refusal_and_a_removal_say_so():
    failing = gate(refusal=Refusal(reason="exit status 1", retry_after_s=8.0))
    gone = gate()
    gone.close()
    holds = Holds(Limits())

    refused = holds.refusal(failing, ticket(), 0.0)
    assert refused == turned_away(failing)
    assert refused == Reject(why=Why.REFUSED, reason="exit status 1", retry_after_s=8.0)
    removed = holds.refusal(gone, ticket(), 0.0)
    assert removed is not None
    assert (removed.why, removed.reason) == (Why.GONE, "ns/llm was removed")


def test_who_waited_too_long_is_told_for_how_long():
    reject = expired(gate(hold_limit_s=2.5), 0.0)

    assert reject.why is Why.EXPIRED
    assert reject.reason == "waited 2.5 s for ns/llm, the longest allowed"
