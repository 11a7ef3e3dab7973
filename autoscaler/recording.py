"""A Fleet that writes down what it is told and what it answers, and the way back.

A recording is JSON lines: a header, then one line for each call with the commands that
followed it. Replayed through a fresh Fleet it must give the same commands.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf, isfinite
from typing import IO

from autoscaler.core.calls import (
    Advance,
    Call,
    Configure,
    Failed,
    Hear,
    Joined,
    Lead,
    Left,
    Observe,
    Ordered,
    Rebudget,
    Remove,
    Standing,
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

    def lead(self, *, leading: bool, now: float) -> None:
        self._call(Lead(leading=leading), now)

    def standing(
        self, key: RevisionKey, now: float, *, aside: bool, keeps: str, awaits: str
    ) -> None:
        call = Standing(key=key, aside=aside, keeps=keeps, awaits=awaits)
        self._call(call, now)

    def rebudget(self, budget: Budget, now: float) -> None:
        self._call(Rebudget(budget=budget), now)

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
        raised = ""
        try:
            apply(self._fleet, call, now)
        except Exception as error:
            raised = _words(error)
            raise
        finally:
            commands = self._fleet.take()
            self._commands += commands
            answers = json.dumps([encode(each) for each in commands])
            self._out.write(f', "commands": {answers}')
            self._out.write(f', "raised": {json.dumps(raised)}}}\n')

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
        case Lead(leading=leading):
            fleet.lead(leading=leading, now=now)
        case Standing(key=key, aside=aside, keeps=keeps, awaits=awaits):
            fleet.standing(key, now, aside=aside, keeps=keeps, awaits=awaits)
        case Rebudget(budget=budget):
            fleet.rebudget(budget, now)
        case Advance():
            fleet.advance(now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One recorded call, what was answered then, and what a fresh Fleet answers."""

    line: int
    now: float
    call: Call
    theirs: list[object]
    """Commands as JSON values, and what was raised, if anything was."""
    ours: list[object]


def replayed(lines: Iterable[str]) -> Iterator[Answer]:
    """Replay the lines of a recording; raises WireError on one that is none.

    A last line that was cut off by a crash is left out.
    """
    numbered = enumerate(lines, 1)
    fleet = _fleet(next(numbered, (1, ""))[1])
    for line, text in numbered:
        if not text.endswith("\n"):
            return
        record = _object(text)
        now = _number(record, "now")
        call = decode(Call, record.get("call"), "call")
        assert isinstance(call, Call)
        commands = record.get("commands")
        if not isinstance(commands, list):
            raise WireError("commands must be a list")
        raised = ""
        try:
            apply(fleet, call, now)
        except Exception as error:  # As recorded, or one difference more.
            raised = _words(error)
        yield Answer(
            line=line,
            now=now,
            call=call,
            theirs=_answer(commands, record.get("raised")),
            ours=_answer([encode(each) for each in fleet.take()], raised),
        )


def _fleet(text: str) -> Fleet:
    header = _object(text)
    if header.get("format") != FORMAT:
        raise WireError(f"format = {header.get('format')!r}, must be {FORMAT!r}")
    if header.get("version") != VERSION:
        rule = f"must be {VERSION}: use the version of fromzero that wrote it"
        raise WireError(f"version = {header.get('version')!r}, {rule}")
    budget = decode(Budget, header.get("budget"), "budget")
    assert isinstance(budget, Budget)
    now, tick_s = _number(header, "now"), _number(header, "tick_s")
    if tick_s <= 0:
        raise WireError(f"tick_s = {tick_s:g}, must be more than 0")
    return Fleet(budget=budget, now=now, tick_s=tick_s)


def _answer(commands: list[object], raised: object) -> list[object]:
    return [*commands, {"type": "raised", "what": raised}] if raised else commands


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _number(record: dict[str, object], name: str) -> float:
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WireError(f"{name} = {value!r}, must be a number")
    try:
        number = float(value)
    except OverflowError:
        number = inf
    if not isfinite(number):
        raise WireError(f"{name} = {number}, must be finite")
    return number


def _object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError(f"is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise WireError("must be a JSON object")
    return value
