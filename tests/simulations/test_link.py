"""A link's laws: bytes are conserved, and nobody is faster than alone."""

from __future__ import annotations

from fractions import Fraction
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.link import Link


def ends(loads: list[tuple[float, float]], bandwidth: float) -> list[float]:
    """Return when each of *loads*, (begin, size) by begin, has come to its end."""
    link, found = Link(bandwidth), [inf] * len(loads)

    def until(now: float) -> None:
        while link.next_at <= now:
            at = link.next_at
            for number in link.ended(at):
                assert isinstance(number, int)
                found[number] = at

    for number, (at, size) in enumerate(loads):
        until(at)
        link.begin(number, size, at)
    until(1e300)
    return found


def exactly(loads: list[tuple[int, int]], bandwidth: int) -> list[Fraction]:
    """The same by fractions, going from change to change over every load."""
    left = {number: Fraction(size) for number, (_, size) in enumerate(loads)}
    found = [Fraction(0)] * len(loads)
    now, coming, there = Fraction(0), list(range(len(loads))), []
    while coming or there:
        begins = Fraction(loads[coming[0]][0]) if coming else None
        least = min((left[each] for each in there), default=None)
        done = None if least is None else now + least * len(there) / bandwidth
        at = min(each for each in (begins, done) if each is not None)
        for each in there:
            left[each] -= (at - now) * bandwidth / len(there)
        now = at
        for each in [each for each in there if left[each] == 0]:
            found[each] = now
            there.remove(each)
        if coming and begins == now:
            there.append(coming.pop(0))
    return found


LOADS = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 1_000)), min_size=1, max_size=12
).map(sorted)


@pytest.mark.parametrize(
    ("loads", "expected"),
    [
        pytest.param([(0, 10)], [10], id="alone"),
        pytest.param([(0, 10), (0, 10)], [20, 20], id="two halves"),
        # Alone for 5 s: 5 bytes. Then both at a half: the first has its other 5 at 15,
        # the second has 5 by then, and the other 5 alone.
        pytest.param([(0, 10), (5, 10)], [15, 20], id="one joins, one goes on alone"),
        # A third each: 6 s for the small one; the others have 2 of 5, and then a half.
        pytest.param([(0, 2), (0, 5), (0, 5)], [6, 12, 12], id="a small one goes first"),
        pytest.param([(0, 3), (9, 3)], [3, 12], id="with a pause between"),
    ],
)  # fmt: skip
def test_loads_share_a_link_as_computed_by_hand(loads, expected):
    assert ends(loads, 1.0) == pytest.approx(expected)


@given(LOADS, st.integers(1, 20))
def test_loads_end_when_exact_fractions_say(loads, bandwidth):
    expected = [float(each) for each in exactly(loads, bandwidth)]

    assert ends(loads, bandwidth) == pytest.approx(expected, rel=1e-9)


@given(LOADS, st.floats(0.5, 50.0))
def test_nobody_is_faster_than_alone_nor_slower_than_all_in_a_row(loads, bandwidth):
    found = ends(loads, bandwidth)

    everything = sum(size for _, size in loads) / bandwidth
    for (at, size), end in zip(loads, found, strict=True):
        assert end >= (at + size / bandwidth) * (1 - 1e-9)
        assert end <= (at + everything) * (1 + 1e-9)


@given(LOADS, st.floats(0.5, 50.0))
def test_as_many_bytes_come_as_the_link_carries_while_anybody_loads(loads, bandwidth):
    found = ends(loads, bandwidth)

    busy, until = 0.0, 0.0
    for (begin, _), end in sorted(zip(loads, found, strict=True)):
        busy += max(0.0, end - max(begin, until))
        until = max(until, end)
    assert busy * bandwidth == pytest.approx(sum(size for _, size in loads))


@given(st.integers(1, 40), st.floats(1.0, 1e12), st.floats(1.0, 1e10))
def test_equal_loads_that_begin_together_end_together(count, size, bandwidth):
    found = ends([(3.0, size)] * count, bandwidth)

    assert len(set(found)) == 1
    assert found[0] == pytest.approx(3.0 + count * size / bandwidth)


def test_a_load_that_is_taken_back_leaves_its_share_to_the_others():
    link = Link(1.0)
    link.begin("stays", 10.0, 0.0)
    link.begin("goes", 10.0, 0.0)

    link.cancel("goes", 4.0)

    # 2 bytes in the 4 s of both, 8 more alone.
    assert link.next_at == pytest.approx(12.0)
    assert link.ended(11.9) == []
    assert link.ended(12.0) == ["stays"]
    assert link.next_at == inf
    link.cancel("goes", 13.0)


@given(LOADS, st.data())
def test_loads_that_are_taken_back_at_once_change_nothing(loads, data):
    link, other = Link(7.0), Link(7.0)
    for number, (at, size) in enumerate(loads):
        for each in (link, other):
            each.ended(at)
            each.begin(number, size, at)
        if data.draw(st.booleans()):
            link.begin("again", size, at)
            link.cancel("again", at)

    assert link.next_at == other.next_at


def test_a_link_without_a_limit_takes_no_time():
    link = Link(inf)
    link.begin("a", 1e12, 5.0)

    assert link.next_at == 5.0
    assert link.ended(5.0) == ["a"]


def test_a_link_that_carries_nothing_is_refused():
    with pytest.raises(ValueError, match="0 bytes/s"):
        Link(0.0)
