"""A Fleet that writes down what it is told and what it answers, and the way back.

A recording is JSON lines: a header, then one line for each call with the commands that
followed it. Replayed through a fresh Fleet it must give the same commands.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from autoscaler.core.calls import (
    Advance,
    Call,
    Configure,
    Failed,
    Hear,
    Joined,
    Left,
    Observe,
    Ordered,
    Remove,
    Usage,
)
from autoscaler.core.commands import Command, Order, Status
from autoscaler.core.domain import (
    Budget,
    Replica,
    RevisionKey,
    RevisionSpec,
    StartFailure,
)
from autoscaler.core.fleet import Fleet
from autoscaler.core.messages import Uplink, View
from autoscaler.core.wire import VERSION, WireError, decode, encode

FORMAT = "fromzero-fleet"


class RecordedFleet:
    """Take a Fleet's calls, pass them on, and write each with its answer to *out*."""

    def __init__(
        self, out: IO[str], *, budget: Budget, now: float, tick_s: float = 2.0
    ) -> None:
        self._fleet = Fleet(budget=budget, now=now, tick_s=tick_s)
        self._out = out
        self._commands: list[Command] = []
        header = {"format": FORMAT, "version": VERSION, "now": now, "tick_s": tick_s}
        self._line(header | {"budget": encode(budget)})

    @property
    def wake_at(self) -> float:
        return self._fleet.wake_at

    def configure(self, key: RevisionKey, spec: RevisionSpec, now: float) -> None:
        self._call(Configure(key=key, spec=spec), now)

    def remove(self, key: RevisionKey, now: float) -> None:
        self._call(Remove(key=key), now)

    def joined(self, reporter: str, now: float) -> None:
        self._call(Joined(reporter=reporter), now)

    def left(self, reporter: str, now: float) -> None:
        self._call(Left(reporter=reporter), now)

    def hear(self, message: Uplink, now: float) -> None:
        self._call(Hear(message=message), now)

    def observe(
        self, key: RevisionKey, replicas: tuple[Replica, ...], now: float
    ) -> None:
        self._call(Observe(key=key, replicas=replicas), now)

    def failed(self, key: RevisionKey, failure: StartFailure, now: float) -> None:
        self._call(Failed(key=key, failure=failure), now)

    def usage(self, key: RevisionKey, percent: float, now: float) -> None:
        self._call(Usage(key=key, percent=percent), now)

    def order(self, key: RevisionKey, order: Order, now: float) -> None:
        self._call(Ordered(key=key, order=order), now)

    def advance(self, now: float) -> None:
        self._call(Advance(), now)

    def take(self) -> list[Command]:
        commands, self._commands = self._commands, []
        return commands

    def view(self, key: RevisionKey) -> View:
        return self._fleet.view(key)

    def status(self, key: RevisionKey) -> Status:
        return self._fleet.status(key)

    def keys(self) -> Iterable[RevisionKey]:
        return self._fleet.keys()

    def _call(self, call: Call, now: float) -> None:
        # Written before it is made: a call that crashes the Fleet is the one to keep.
        self._out.write(f'{{"now": {now!r}, "call": {json.dumps(encode(call))}')
        commands: list[Command] = []
        try:
            apply(self._fleet, call, now)
            commands = self._fleet.take()
        finally:
            answers = json.dumps([encode(each) for each in commands])
            self._out.write(f', "commands": {answers}}}\n')
        self._commands += commands

    def _line(self, value: object) -> None:
        self._out.write(json.dumps(value) + "\n")


def apply(fleet: Fleet, call: Call, now: float) -> None:
    """Make *call* to *fleet*."""
    match call:
        case Configure(key=key, spec=spec):
            fleet.configure(key, spec, now)
        case Remove(key=key):
            fleet.remove(key, now)
        case Joined(reporter=reporter):
            fleet.joined(reporter, now)
        case Left(reporter=reporter):
            fleet.left(reporter, now)
        case Hear(message=message):
            fleet.hear(message, now)
        case Observe(key=key, replicas=replicas):
            fleet.observe(key, replicas, now)
        case Failed(key=key, failure=failure):
            fleet.failed(key, failure, now)
        case Usage(key=key, percent=percent):
            fleet.usage(key, percent, now)
        case Ordered(key=key, order=order):
            fleet.order(key, order, now)
        case Advance():
            fleet.advance(now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One recorded call, what was answered then, and what a fresh Fleet answers."""

    line: int
    now: float
    call: Call
    theirs: object
    """Commands, as JSON values."""
    ours: object


def replayed(lines: Iterable[str]) -> Iterator[Answer]:
    """Replay the lines of a recording; raises WireError, naming the line, on bad ones.

    A last line that was cut off by a crash is left out.
    """
    numbered = enumerate(lines, 1)
    fleet = _fleet(next(numbered, (1, ""))[1])
    for line, text in numbered:
        if not text.endswith("\n"):
            return
        record = _object(text, line)
        now = record.get("now")
        if not isinstance(now, int | float):
            raise WireError(f"line {line}: now = {now!r}, must be a number")
        try:
            call = decode(Call, record.get("call"), f"line {line}: call")
        except RecursionError:
            raise WireError(f"line {line}: is nested too deep") from None
        assert isinstance(call, Call)
        apply(fleet, call, float(now))
        yield Answer(
            line=line,
            now=float(now),
            call=call,
            theirs=record.get("commands"),
            ours=[encode(each) for each in fleet.take()],
        )


def _fleet(text: str) -> Fleet:
    header = _object(text, 1)
    if header.get("format") != FORMAT:
        raise WireError(
            f"line 1: format = {header.get('format')!r}, must be {FORMAT!r}"
        )
    if header.get("version") != VERSION:
        rule = f"must be {VERSION}: use the version of fromzero that wrote it"
        raise WireError(f"line 1: version = {header.get('version')!r}, {rule}")
    budget = decode(Budget, header.get("budget"), "line 1: budget")
    assert isinstance(budget, Budget)
    now, tick_s = header.get("now"), header.get("tick_s")
    if not isinstance(now, int | float) or not isinstance(tick_s, int | float):
        raise WireError("line 1: now and tick_s must be numbers")
    return Fleet(budget=budget, now=float(now), tick_s=float(tick_s))


def _object(text: str, line: int) -> dict[str, object]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise WireError(f"line {line}: is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise WireError(f"line {line}: must be an object")
    return value
