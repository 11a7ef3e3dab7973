"""Why a start failed, in one line for a person."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.process import Ended, Order
from autoscaler.backends.reasons import clean, port_was_taken, why

SERVE = Order(argv=("serve", "--port=80"), env={}, cwd="/srv")


@pytest.mark.parametrize(
    ("ended", "reason"),
    [
        (Ended(status=0), "exit status 0, without a word"),
        (Ended(status=1, tail=("no model",)), "exit status 1: no model"),
        (
            Ended(status=1, tail=("a", "b", "c", "  ", "d", "\x1b[0m")),
            "exit status 1: d (before it: b | c)",
        ),
        (
            Ended(status=-9, tail=("loading",)),
            "killed by SIGKILL (out of memory?): loading",
        ),
        (Ended(status=-11), "killed by SIGSEGV, without a word"),
        (Ended(status=-99), "killed by signal 99, without a word"),
        (Ended(status=None), "ended unseen: its keeper was killed"),
        (
            Ended(status=None, errno=2, step="chdir"),
            "working directory /srv: No such file or directory",
        ),
        (Ended(status=None, errno=7, step="exec"), "serve: Argument list too long"),
    ],
    ids=range(9),
)
def test_how_it_ended_and_its_last_words_are_one_line(ended, reason):
    assert why(SERVE, ended) == reason


@pytest.mark.parametrize(
    "line",
    [
        "OSError: [Errno 98] Address already in use",
        "[Errno 48] error while attempting to bind on address ('127.0.0.1', 80)",
        "Error: listen EADDRINUSE: address already in use :::8080",
        "couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 80",
        "listen tcp :8080: bind: address already in use",
        "Port 8080 is already in use",
        "panic: cannot bind",
    ],
)
def test_a_taken_port_is_known_by_the_words_of_many_languages(line):
    assert port_was_taken(Ended(status=1, tail=("starting", line, "bye")))


@pytest.mark.parametrize("line", ["GPU in use", "port 80", "binding weights", ""])
def test_other_words_are_of_no_port(line):
    assert not port_was_taken(Ended(status=1, tail=(line,)))


def test_what_never_ran_took_no_port():
    assert not port_was_taken(
        Ended(status=None, errno=2, step="exec", tail=("address already in use",))
    )


@given(st.text(), st.integers(1, 300))
def test_a_clean_line_is_one_line_of_bounded_length(text, limit):
    line = clean(text.replace("\n", " "), limit)

    assert len(line) <= limit
    assert not any(ord(each) < 32 and each not in "\t\n" for each in line)
