from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.claim import Candidate, Claim
from tests.autoscaler.backends.kubernetes.anything import JSON

ME = Candidate(namespace="here", name="leader", identity="me")


def record(holder, term=1, lasts_s=15, renewed="then"):
    spec = {
        "holderIdentity": holder,
        "leaseTransitions": term,
        "leaseDurationSeconds": lasts_s,
        "renewTime": renewed,
    }
    return {"metadata": {"resourceVersion": "1"}, "spec": spec}


def test_leadership_is_counted_from_when_the_claim_was_sent():
    claim = Claim(ME)

    claim.won(claim.claimed(100.0, 0.0), 100.0, 104.0)

    assert claim.leading(109.99)
    assert not claim.leading(110.0)


@given(seen=st.lists(st.floats(0, 14.9), min_size=1, max_size=6))
def test_a_record_is_as_old_as_it_was_seen_unchanged(seen):
    claim = Claim(ME)
    for at in sorted(seen):
        claim.observed(record("other"), at)

    assert not claim.free(min(seen) + 14.9)
    assert claim.free(min(seen) + 15.0)


def test_a_record_lasts_as_long_as_it_says_itself():
    claim = Claim(ME)
    claim.observed(record("other", lasts_s=40), 0.0)

    assert claim.left_s(10.0) == 30.0


def test_a_record_is_nobodys_when_it_was_never_there_and_not_when_it_is_gone():
    claim = Claim(ME)
    claim.observed(None, 0.0)
    assert claim.free(0.0)

    claim.observed(record("me"), 1.0)
    claim.observed(None, 2.0)
    claim.observed(None, 3.0)

    assert claim.left_s(3.0) == 14.0


def test_a_new_leadership_has_a_term_above_all_that_were_heard_of():
    claim = Claim(ME)
    claim.observed(record("other", term=7), 0.0)
    claim.observed(record("third", term=2), 1.0)

    assert claim.claimed(20.0, 0.0)["spec"]["leaseTransitions"] == 8


def test_a_renewal_keeps_term_time_of_acquiring_and_fields_of_others():
    claim = Claim(ME)
    claim.observed(record(""), 0.0)
    taken = claim.claimed(0.0, 50.0)
    taken["spec"]["strategy"] = "Coordinated"
    claim.won(taken, 0.0, 0.0)

    renewed = claim.claimed(2.0, 52.0)

    assert renewed["metadata"]["resourceVersion"] == "1"
    assert renewed["spec"] == {
        **taken["spec"],
        "renewTime": "1970-01-01T00:00:52.000000Z",
    }


def test_what_is_released_is_free_for_another_at_once():
    mine, others = Claim(ME), Claim(ME)
    mine.won(mine.claimed(0.0, 0.0), 0.0, 0.0)
    others.observed(mine.released(1.0), 1.0)

    assert others.free(1.0)


def test_more_than_an_object_may_carry_is_refused_and_forgotten():
    claim = Claim(ME)
    with pytest.raises(ValueError, match="must be at most 131072"):
        claim.annotate("much", "x" * (128 << 10))

    assert claim.claimed(0.0, 0.0)["metadata"]["annotations"] == {}


@given(found=JSON)
def test_any_record_can_be_read_and_claimed(found):
    claim = Claim(ME)
    claim.observed({"metadata": found, "spec": found}, 0.0)
    claim.observed({"spec": {"holderIdentity": found, "leaseTransitions": found}}, 1.0)

    assert claim.claimed(99.0, 0.0)["spec"]["holderIdentity"] == "me"


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"identity": ""}, id="nobody"),
        pytest.param({"renew_s": 15.0}, id="a deadline not before the expiry"),
        pytest.param({"retry_s": 10.0}, id="a retry not before the deadline"),
        pytest.param({"retry_s": 0.0}, id="no rest"),
    ],
)
def test_times_that_are_not_safe_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        Candidate(**{"namespace": "a", "name": "b", "identity": "c", **wrong})
