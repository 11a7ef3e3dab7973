from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.frames import Challenge, Hello, Proof
from autoscaler.core.handshake import (
    Keys,
    Seal,
    SealError,
    SecretError,
    accept,
    challenge,
    common,
    keys,
    prove,
)

OLD = b"an older secret, long"
NEW = b"a newer secret, as long"
OTHER = b"somebody else's secret"
HELLO = Hello(name="a-1", instance="x", nonce="c" * 32, oldest=1, newest=3, term=7)


def greet(theirs: Keys, ours: Keys) -> tuple[bytes | None, bytes | None]:
    """Return the keys that activator and autoscaler have at the end."""
    sent = challenge(ours, HELLO, "s" * 32, 2)
    answer = prove(theirs, HELLO, sent)
    if answer is None:
        return None, None
    proof, key = answer
    return key, accept(ours, HELLO, sent, proof)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        pytest.param((NEW,), (NEW,), id="the same secret"),
        pytest.param((OLD,), (NEW, OLD), id="the autoscaler has a new one too"),
        pytest.param((NEW, OLD), (OLD,), id="the activator has a new one too"),
        pytest.param((OLD, NEW), (NEW, OLD), id="both have both"),
    ],
)
def test_who_shares_a_secret_ends_with_the_same_key(theirs: Keys, ours: Keys):
    mine, yours = greet(theirs, ours)

    assert mine is not None
    assert mine == yours
    assert not any(secret in mine for secret in (OLD, NEW))


def test_an_autoscaler_without_the_secret_is_told_nothing():
    assert prove((NEW,), HELLO, challenge((OTHER,), HELLO, "s", 2)) is None


def test_an_activator_without_the_secret_is_not_let_in():
    sent = challenge((NEW,), HELLO, "s", 2)
    forged = prove((OTHER,), HELLO, challenge((OTHER,), HELLO, "s", 2))
    assert forged is not None

    assert accept((NEW,), HELLO, sent, forged[0]) is None
    assert accept((NEW,), HELLO, sent, Proof(proof="\udcff")) is None


def test_an_autoscalers_own_proof_does_not_pass_for_an_activators():
    sent = challenge((NEW,), HELLO, "s", 2)

    assert accept((NEW,), HELLO, sent, Proof(proof=sent.proofs[0])) is None


def test_a_proof_is_good_for_one_greeting_only():
    sent = challenge((NEW,), HELLO, "s", 2)
    answer = prove((NEW,), HELLO, sent)
    assert answer is not None
    proof, _ = answer

    for hello, other in (
        (HELLO, replace(sent, nonce="t")),
        (HELLO, replace(sent, version=3)),
        (replace(HELLO, name="a-2"), sent),
        (replace(HELLO, instance="y"), sent),
        (replace(HELLO, nonce="d"), sent),
        (replace(HELLO, oldest=0), sent),
        (replace(HELLO, newest=9), sent),
        (replace(HELLO, term=8), sent),
    ):
        assert accept((NEW,), hello, other, proof) is None


def test_a_version_that_was_not_offered_is_not_spoken():
    assert prove((NEW,), HELLO, challenge((NEW,), HELLO, "s", 4)) is None


@given(proofs=st.lists(st.text(), max_size=3), nonce=st.text(), version=st.integers())
def test_no_challenge_but_a_right_one_is_answered(
    proofs: list[str], nonce: str, version: int
):
    heard = Challenge(nonce=nonce, version=version, proofs=tuple(proofs))

    assert prove((NEW,), HELLO, heard) is None


@given(a=st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted),
       b=st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted))  # fmt: skip
def test_the_newest_version_that_both_know_is_spoken(a: list[int], b: list[int]):
    both = set(range(a[0], a[1] + 1)) & set(range(b[0], b[1] + 1))

    answer = common(replace(HELLO, oldest=a[0], newest=a[1]), b[0], b[1])

    if both:
        assert answer == max(both)
    else:
        assert "speaks versions" in str(answer)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(b"", "has 0 lines, must be one line, or 2", id="empty"),
        pytest.param(b"a\nb\nc\n", "has 3 lines, must be one line", id="three"),
        pytest.param(
            NEW + b"\nhunter2\n",
            "line 2 of the link's secret has 7 bytes, must have at least 16",
            id="short",
        ),
    ],
)
def test_what_is_no_secret_is_refused_without_being_told(text: bytes, said: str):
    with pytest.raises(SecretError) as error:
        keys(text)

    assert said in str(error.value)
    assert "hunter2" not in str(error.value)


def test_two_lines_are_two_secrets_however_they_end():
    assert keys(NEW + b"\r\n\r\n" + OLD) == (NEW, OLD)


def test_frames_come_through_in_order_and_only_so():
    out, into = Seal(b"key", "up"), Seal(b"key", "up")
    first, second, third = (out.put(text) for text in ("one", "zwei ü", ""))

    assert into.open(first) == "one"
    assert into.open(second) == "zwei ü"
    with pytest.raises(SealError, match="not sealed by"):
        into.open(second)
    assert third


@given(st.text(st.characters(codec=None)))
def test_nothing_else_passes_for_a_frame(text: str):
    with pytest.raises(SealError):
        Seal(b"key", "up").open(text)


def test_a_frame_is_good_for_one_key_and_one_way():
    frame = Seal(b"key", "up").put("one")

    for other in (Seal(b"kex", "up"), Seal(b"key", "down")):
        with pytest.raises(SealError):
            other.open(frame)


def test_what_is_not_text_is_no_frame():
    with pytest.raises(SealError, match="not text"):
        Seal(b"key", "up").open("\udcff" * 64)
