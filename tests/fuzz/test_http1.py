"""The fuzzer's oracle holds of the corpus, says no to what is wrong, and is run."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.core.exchange import Exchange
from tests.activator.corpus.case import ask, chunked
from tests.activator.corpus.index import CASES
from tests.fuzz.http1 import cut
from tests.fuzz.oracle import DisagreementError, check

TWO = chunked(b"5\r\nhello\r\n0\r\n\r\n") + ask()


@pytest.mark.parametrize("name", CASES)
def test_it_holds_of_the_corpus(name):
    check(*cut(b"\x02\x14\x1e" + CASES[name].sent[:4_000]))


@given(st.binary(max_size=400))
def test_it_holds_of_any_bytes(data):
    check(*cut(data))


def test_a_head_with_two_faults_is_refused_wherever_it_is_cut():
    # The fuzzer found it: there is no version in its line, and it is too long.
    for cuts in ([], [8], [8, 10]):
        assert check(b"GET  /\n\r\n" + b"a" * 2_000, cuts).status > 0


@pytest.mark.source
def test_a_body_that_goes_on_otherwise_is_found(monkeypatch):
    whole = Exchange.upload
    monkeypatch.setattr(Exchange, "upload", lambda self: whole(self)[:-1])

    with pytest.raises(DisagreementError, match="was sent on as"):
        check(TWO, [])


@pytest.mark.source
def test_a_head_that_goes_on_with_more_is_found(monkeypatch):
    whole = Exchange.request_head
    more = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
    monkeypatch.setattr(Exchange, "request_head", lambda *args: whole(*args) + more)

    with pytest.raises(DisagreementError, match="was sent on as"):
        check(ask(), [])


@pytest.mark.slow
def test_the_program_runs(tmp_path):
    program = [sys.executable, "-m", "tests.fuzz.http1", "--seconds", "1"]

    done = subprocess.run(
        [*program, "--keep", tmp_path], capture_output=True, text=True, timeout=120
    )

    assert done.returncode == 0, done.stderr[-2_000:]
    assert list(tmp_path.iterdir()) == []
    assert "stat::number_of_executed_units" in done.stderr or "atheris" in done.stdout
