"""The demo's story: a line for each thing that matters, as it happens."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import IO

from autoscaler.clock import Clock, monotonic
from autoscaler.core.domain import RevisionKey
from fromzero.changes import Change, Empty, Held, Scaled, Serves

_WHAT, _OF = 12, 32  # Widths of columns.


class Story:
    """Write lines that begin with the seconds since the story began."""

    def __init__(self, out: IO[str] | None = None, clock: Clock = monotonic) -> None:
        self._out = out or sys.stdout
        self._clock = clock
        self._began = clock()
        self._open = False
        """A line is being written word by word."""

    @property
    def seconds(self) -> float:
        """How long the story is."""
        return self._clock() - self._began

    def title(self, text: str) -> None:
        """Begin a chapter."""
        self._end()
        self._out.write(f"\n{text}\n")
        self._out.flush()

    def tell(self, what: str, of: str, text: str = "") -> None:
        """Write one line: what happened, to whom, and more."""
        self._end()
        self._out.write(f"{self._line(what, of)}  {text}".rstrip() + "\n")
        self._out.flush()

    def words(self, what: str, of: str) -> Callable[[str], None]:
        """Begin a line whose text comes word by word; return what adds one.

        When something else is told meanwhile the line ends there, and goes on in one
        of its own.
        """
        self.tell(what, of)

        def add(word: str) -> None:
            if not self._open:
                self._out.write(" " * (_WHAT + _OF + 14))
                self._open = True
            self._out.write(word.replace("\n", " "))
            self._out.flush()

        return add

    def saw(self, change: Change) -> None:
        """Tell what became of a revision."""
        match change:
            case Held(key=key, requests=count):
                its = "a request waits" if count == 1 else f"{count} requests wait"
                self.tell("held", short(key), its)
            case Scaled(key=key, before=0, reason=reason):
                self.tell("starting", short(key), reason)
            case Scaled(key=key, replicas=0, reason=reason):
                self.tell("stopping", short(key), reason)
            case Scaled(key=key, replicas=count, reason=reason):
                self.tell("scaled", short(key), f"to {count} because {reason}")
            case Serves(key=key, after_s=after_s):
                self.tell("ready", short(key), f"after {after_s:.1f} s")
            case Empty(key=key, state=state, reason=reason):
                again = " again" if state == "asleep" else ""
                self.tell(f"{state}{again}", short(key), reason)

    def _line(self, what: str, of: str) -> str:
        return f"{self.seconds:6.1f} s  {what:<{_WHAT}}  {of:<{_OF}}"

    def _end(self) -> None:
        if self._open:
            self._out.write("\n")
            self._open = False


def short(key: RevisionKey) -> str:
    """Return a revision's name as the story has it.

    >>> short(RevisionKey("production", "iris-predictor-00002"))
    'iris-predictor-00002'
    """
    return key.name
