"""Keys and replicas as numbers."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from activator.core.rendezvous import chance, number, pick_of, score

SEEDS = st.integers(0, 2**64 - 1)
PICKS = st.floats(-1.0, 1.0, exclude_max=True)


def test_a_key_is_the_same_number_in_every_process_and_version():
    assert number(b"chat-1") == 0xA5E2AB8FEB90075B
    assert score(number(b"r1"), pick_of(b"chat-1")) == 0x1DEDF7C2A6ED9146


@given(st.binary())
def test_a_key_is_never_taken_for_a_uniform(key):
    assert -1.0 <= pick_of(key) < 0.0


@given(SEEDS, SEEDS, PICKS)
def test_two_seeds_never_have_one_score(one, other, pick):
    assert (score(one, pick) == score(other, pick)) is (one == other)


@given(SEEDS, PICKS)
def test_a_chance_is_one(seed, pick):
    assert 0.0 <= chance(seed, pick) <= 1.0


def test_chances_of_like_keys_and_names_are_spread_evenly():
    tenths = Counter(
        int(chance(number(b"r%d" % replica), pick_of(b"%d" % key)) * 10)
        for replica in range(20)
        for key in range(1000)
    )

    assert sorted(tenths) == list(range(10))
    assert all(abs(count - 2000) < 200 for count in tenths.values())


def test_a_high_score_is_no_high_chance():
    seed = number(b"r1")
    picks = [pick_of(b"%d" % key) for key in range(4000)]
    high = sorted(picks, key=lambda pick: score(seed, pick))[-1000:]

    assert abs(sum(chance(seed, pick) < 0.5 for pick in high) - 500) < 70
