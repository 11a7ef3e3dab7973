from __future__ import annotations

import io

import pytest

from fromzero.changes import Empty, Held, Scaled, Serves
from fromzero.demo.story import Story
from tests.fakes.known import IRIS

NAME = "iris-predictor-00001"


class Told:
    def __init__(self) -> None:
        self.now = 100.0
        self.out = io.StringIO()
        self.story = Story(self.out, lambda: self.now)

    @property
    def lines(self) -> list[str]:
        return self.out.getvalue().splitlines()


def test_a_line_begins_with_the_seconds_since_the_story_began():
    told = Told()
    told.now = 101.4

    told.story.tell("answered", "sklearn-iris", "setosa")

    (line,) = told.lines
    assert line.split() == ["1.4", "s", "answered", "sklearn-iris", "setosa"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Held(key=IRIS, requests=1), f"held {NAME} a request waits"),
        (Held(key=IRIS, requests=3), f"held {NAME} 3 requests wait"),
        (
            Scaled(key=IRIS, before=0, replicas=1, reason="a request waits"),
            f"starting {NAME} a request waits",
        ),
        (
            Scaled(key=IRIS, before=1, replicas=2, reason="14 in flight"),
            f"scaled {NAME} to 2 because 14 in flight",
        ),
        (
            Scaled(key=IRIS, before=1, replicas=0, reason="idle for 6 s"),
            f"stopping {NAME} idle for 6 s",
        ),
        (
            Serves(key=IRIS, replica="r1", after_s=1.44),
            f"ready {NAME} after 1.4 s",
        ),
        (
            Empty(key=IRIS, state="asleep", reason="idle for 6 s"),
            f"asleep again {NAME} idle for 6 s",
        ),
        (
            Empty(key=IRIS, state="failing", reason="exit status 1"),
            f"failing {NAME} exit status 1",
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else type(each).__name__,
)
def test_each_change_is_a_line_in_plain_words(change, said):
    told = Told()

    told.story.saw(change)

    (line,) = told.lines
    assert line.split()[2:] == said.split()


def test_words_come_on_a_line_of_their_own_as_they_come():
    told = Told()
    add = told.story.words("tokens", "llm")

    add(" Par")
    add("is\n")
    assert told.lines[1].strip() == "Paris"
    told.story.tell("answered", "llm")

    assert len(told.lines) == 3


def test_what_is_told_between_two_words_does_not_run_into_them():
    told = Told()
    add = told.story.words("tokens", "llm")

    add("one")
    told.story.tell("held", "other")
    add("two")
    told.story.title("The end.")

    stripped = [line.split()[-1] for line in told.lines if line]
    assert stripped == ["llm", "one", "other", "two", "end."]
