from __future__ import annotations

import pytest

from activator.goodbye import Goodbye
from activator.greeting import Greeting
from activator.h2 import ACK, HEADERS, PREFACE, SETTINGS, frame
from activator.prologue import Prologue

ACKNOWLEDGED = frame(SETTINGS, flags=ACK)


def test_who_waits_is_greeted_once_and_that_it_answers_is_between_us():
    prologue = Prologue()
    prologue.add(PREFACE[:10])
    assert prologue.greet() == b""
    prologue.add(PREFACE[10:] + frame(SETTINGS))
    assert prologue.greet() == Greeting.word
    assert prologue.greet() == b""
    prologue.add(ACKNOWLEDGED[:4])

    assert prologue.all() == PREFACE + frame(SETTINGS)
    assert prologue.after(ACKNOWLEDGED[4:] + b"then") == b"then"
    assert prologue.after(ACKNOWLEDGED) == ACKNOWLEDGED
    assert prologue.size == len(PREFACE) + 9 + 4


def test_who_does_not_wait_is_not_greeted():
    prologue = Prologue()
    prologue.add(PREFACE + ACKNOWLEDGED)

    assert prologue.all() == PREFACE + ACKNOWLEDGED
    assert prologue.after(ACKNOWLEDGED) == ACKNOWLEDGED


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", b"\0", PREFACE[:5] + b"x"])
def test_who_speaks_something_else_is_told_nothing(said):
    prologue = Prologue()
    prologue.add(said)

    assert prologue.greet() == b""
    assert prologue.refuse("no") == b""
    assert prologue.answer(frame(HEADERS, stream=1)) == b""
    assert prologue.end() == b""


@pytest.mark.parametrize("greeted", [True, False])
@pytest.mark.parametrize("early", [7, len(PREFACE) + 3])
def test_each_call_is_refused_and_the_first_word_is_said_once(greeted, early):
    said = PREFACE + frame(SETTINGS) + frame(HEADERS, stream=1)
    prologue, told = Prologue(), Goodbye("no")
    prologue.add(said[:early])
    heard = prologue.greet() if greeted else b""

    heard += prologue.refuse("no") + prologue.answer(said[early:])

    assert heard == Greeting.word + told.feed(said)
    assert prologue.end() == told.end()
