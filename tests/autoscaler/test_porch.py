from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.porch import Porch

ADDRESSES = st.sampled_from("abcd")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["comes", "known", "unknown"]),
            ADDRESSES,
            st.floats(0.0, 3.0),
        )
    )
)
def test_places_are_bounded_and_no_address_fails_more_often_than_it_may(steps):
    porch = Porch(most=5, each=3, again_s=2.0, remembered=4)
    here: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    now = 0.0

    for what, address, wait_s in steps:
        now += wait_s
        if what == "comes":
            here[address] += not porch.comes(address, now)
        elif here[address]:
            here[address] -= 1
            failed[address] += what == "unknown"
            porch.goes(address, now, known=what == "known")

        assert here.total() <= 5
        for each in "abcd":
            assert here[each] + failed[each] <= 3 + now / 2.0 + 1e-9


def test_one_address_leaves_places_for_others():
    porch = Porch(most=5, each=3)

    assert [porch.comes("a", 0.0) for _ in range(4)] == ["", "", "", FAILED]
    assert [porch.comes(each, 0.0) for each in "bcd"] == ["", "", FULL]


def test_who_is_known_may_come_as_often_as_it_likes():
    porch = Porch(most=5, each=3)
    for _ in range(100):
        assert porch.comes("a", 0.0) == ""
        porch.goes("a", 0.0, known=True)


def test_who_failed_may_come_again_after_a_while():
    porch = Porch(each=2, again_s=2.0)
    for _ in range(2):
        assert porch.comes("a", 0.0) == ""
        porch.goes("a", 0.0, known=False)

    assert porch.comes("a", 1.9) == FAILED
    assert porch.comes("a", 2.0) == ""
    assert porch.comes("a", 2.0) == FAILED


def test_no_more_addresses_are_remembered_than_may_be():
    porch = Porch(each=1, remembered=10)
    for number in range(1000):
        assert porch.comes(f"{number}", 0.0) == ""
        porch.goes(f"{number}", 0.0, known=False)

    assert len(porch._seen) == 10
    assert porch.comes("999", 0.0) == FAILED
    assert porch.comes("0", 0.0) == ""
    porch.goes("gone", 0.0, known=True)


FAILED = "too many of your greetings failed"
FULL = "too many come at one time"
