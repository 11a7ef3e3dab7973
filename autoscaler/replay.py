"""Recompute recorded decisions and say where ours differ.

One function for each format, `Format`; the first line of a file says which it is.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from autoscaler.core.decide import DeciderState, decide_at
from autoscaler.core.domain import Aggregation, Observation, ScalingSpec
from autoscaler.core.window import Window
from autoscaler.core.wire import WireError, decode, encode
from autoscaler.errors import BadInput, Problem
from autoscaler.recording import FORMAT, Answer, replayed


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One recorded answer that is not ours."""

    line: int
    """Line of the file: a scenario, or a call."""
    at: float
    """Time within the recording, as it is written there."""
    field: str
    theirs: str
    ours: str
    inputs: str
    """What was decided on, in words."""

    def __str__(self) -> str:
        what = f"{self.field} = {self.theirs}, ours {self.ours}"
        return f"line {self.line}, t = {self.at:g}: {what} ({self.inputs})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What came of one line of a recording."""

    decisions: int
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of a whole recording."""

    decisions: int
    differences: tuple[Difference, ...]


Format = Callable[[Iterable[str]], Iterator[Replayed]]
"""Replay the lines of a file; a WireError says what is wrong with the next one."""


def replay(path: Path) -> Report:
    """Replay the recording *path*, plain or gzip; raises BadInput on a bad one."""
    decisions = 0
    differences: list[Difference] = []
    for step in steps(path):
        decisions += step.decisions
        differences += step.differences
    return Report(decisions=decisions, differences=tuple(differences))


def steps(path: Path) -> Iterator[Replayed]:
    """Yield what comes of each line of *path*, as it is replayed."""
    lines = _Lines(path)
    try:
        first = next(lines, None)
        if first is None:
            raise WireError("the recording is empty")
        yield from _format(first)(lines.again(first))
    except WireError as error:
        raise BadInput([_problem(path, lines.number, str(error))]) from error
    except UnicodeDecodeError as error:
        raise BadInput([_problem(path, lines.number + 1, "is not text")]) from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadInput([_problem(path, 0, f"cannot be read: {reason}")]) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class KpaSpec:
    """Settings of one scenario recorded from Knative's autoscaler."""

    max_scale_up_rate: float
    max_scale_down_rate: float
    target_value: float
    total_value: float
    target_burst_capacity: float
    panic_threshold: float
    stable_window_s: int
    panic_window_s: int
    scale_down_delay_s: int
    activation_scale: int
    reachable: bool
    window_algorithm: Aggregation


@dataclass(frozen=True, slots=True, kw_only=True)
class KpaTick:
    """One decision of Knative's: what it saw and what it answered."""

    t: float
    ready: int
    stable: float
    panic: float
    desired: int
    excess_burst_capacity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KpaScenario:
    """One line: load second by second, and the decisions on it."""

    spec: KpaSpec
    samples: tuple[tuple[float, float], ...]
    """(second, value), in order."""
    ticks: tuple[KpaTick, ...]


_KPA_BEGIN = 1_700_000_000
"""Unix second of t = 0: an even one, as the delay's grain is 2 s of Unix time."""
_KPA_TICK_S = 0.5
"""A decision comes this long after the second it is written for."""
_LAST_BITS = 1e-9
"""Weighted averages hang on exp and log, whose last bit is the platform's."""


def kpa(lines: Iterable[str]) -> Iterator[Replayed]:
    """Replay decisions of Knative's own autoscaler, one scenario a line."""
    for line, text in enumerate(lines, 1):
        scenario = decode(KpaScenario, _object(text), "scenario")
        assert isinstance(scenario, KpaScenario)
        _check(scenario.spec)
        try:
            differences = [
                Difference(
                    line=line,
                    at=tick.t,
                    field=field,
                    theirs=f"{theirs:.17g}",
                    ours=f"{ours:.17g}",
                    inputs=f"{tick.ready} ready; {reason}",
                )
                for tick, answer, reason in _decisions(scenario)
                for field, theirs, ours in _compared(tick, answer)
            ]
        except (OverflowError, ValueError):
            raise WireError("scenario has numbers too large to compute with") from None
        yield Replayed(decisions=len(scenario.ticks), differences=tuple(differences))


def fleet(lines: Iterable[str]) -> Iterator[Replayed]:
    """Replay what a Fleet was told and answered (`--record-decisions`), call by call.

    Every command counts: zero, bounds, room and settings are among their causes.
    """
    for answer in replayed(lines):
        if answer.theirs == answer.ours:
            differences: tuple[Difference, ...] = ()
        else:
            differences = tuple(_commands(answer))
        decisions = sum(1 for each in answer.theirs if _kind(each) == "Decided")
        yield Replayed(decisions=decisions, differences=differences)


def _commands(answer: Answer) -> Iterator[Difference]:
    for theirs, ours in zip_longest(answer.theirs, answer.ours):
        if theirs != ours:
            field, their, our = _part(theirs, ours)
            yield Difference(
                line=answer.line,
                at=answer.now,
                field=field,
                theirs=their,
                ours=our,
                inputs=f"after {json.dumps(encode(answer.call))}",
            )


def _part(theirs: object, ours: object) -> tuple[str, str, str]:
    """Return the first field in which two commands differ, and both its values."""
    kind = _kind(theirs) or _kind(ours)
    if isinstance(theirs, dict) and isinstance(ours, dict) and _kind(ours) == kind:
        for name, value in theirs.items():
            if ours.get(name) != value:
                return f"{kind}.{name}", json.dumps(value), json.dumps(ours.get(name))
    return kind, _brief(theirs), _brief(ours)


def _brief(command: object) -> str:
    return "none" if command is None else json.dumps(command)


def _kind(command: object) -> str:
    return str(command.get("type", "")) if isinstance(command, dict) else ""


def _decisions(scenario: KpaScenario) -> Iterator[tuple[KpaTick, KpaTick, str]]:
    """Yield each recorded tick, ours on the same load, and our reason."""
    recorded = scenario.spec
    spec = ScalingSpec(
        total_value=recorded.total_value,
        activation_scale=recorded.activation_scale,
        stable_window_s=recorded.stable_window_s,
        panic_window_percentage=100
        * recorded.panic_window_s
        / recorded.stable_window_s,
        panic_threshold=recorded.panic_threshold,
        max_scale_up_rate=recorded.max_scale_up_rate,
        max_scale_down_rate=recorded.max_scale_down_rate,
        scale_down_delay_s=recorded.scale_down_delay_s,
        target_burst_capacity=recorded.target_burst_capacity,
        reachable=recorded.reachable,
    )
    stable = Window(recorded.stable_window_s, recorded.window_algorithm)
    panic = Window(recorded.panic_window_s, recorded.window_algorithm)
    state = DeciderState.fresh(spec, 0, now=_KPA_BEGIN)
    samples = iter(scenario.samples)
    sample = next(samples, None)
    for tick in scenario.ticks:
        now = _KPA_BEGIN + tick.t + _KPA_TICK_S
        while sample is not None and _KPA_BEGIN + sample[0] <= now:
            stable.record(sample[1], now=_KPA_BEGIN + sample[0])
            panic.record(sample[1], now=_KPA_BEGIN + sample[0])
            sample = next(samples, None)
        seen = Observation(
            stable=stable.average(now), panic=panic.average(now), ready=tick.ready
        )
        # The recorded target, not one made anew from its total: equal to the last bit.
        state, decision = decide_at(spec, recorded.target_value, state, seen, now)
        answer = KpaTick(
            t=tick.t,
            ready=tick.ready,
            stable=seen.stable,
            panic=seen.panic,
            desired=decision.desired,
            excess_burst_capacity=decision.excess_burst_capacity,
        )
        yield tick, answer, decision.reason


def _compared(theirs: KpaTick, ours: KpaTick) -> Iterator[tuple[str, float, float]]:
    for field in ("stable", "panic"):
        their, our = getattr(theirs, field), getattr(ours, field)
        if abs(their - our) > _LAST_BITS * max(1.0, abs(their)):
            yield field, their, our
    for field in ("desired", "excess_burst_capacity"):
        their, our = getattr(theirs, field), getattr(ours, field)
        if their != our:
            yield field, their, our


def _check(spec: KpaSpec) -> None:
    for field, least, most in (
        ("stable_window_s", 1, 86_400),
        ("panic_window_s", 1, 86_400),
        ("scale_down_delay_s", 0, 86_400),
        ("target_value", 0.01, 1e9),
        ("max_scale_up_rate", 1, 1e9),
        ("max_scale_down_rate", 1, 1e9),
    ):
        value = getattr(spec, field)
        if not least <= value <= most:
            rule = f"must be in [{least:g}, {most:g}]"
            raise WireError(f"scenario.spec.{field} = {value:g}, {rule}")


class _Lines:
    """The lines of a file, knowing which one was last taken."""

    def __init__(self, path: Path) -> None:
        self.number = 0
        self._lines = self._read(path)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        return line

    def again(self, first: str) -> Iterator[str]:
        """Yield *first*, which was taken to look at, and then the rest."""
        yield first
        yield from self

    @staticmethod
    def _read(path: Path) -> Iterator[str]:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        if packed:
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                yield from lines
        else:
            with path.open(encoding="utf-8") as lines:
                yield from lines


def _format(first: str) -> Format:
    record = _object(first)
    if "ticks" in record:
        return kpa
    if record.get("format") == FORMAT:
        return fleet
    raise WireError("is no recording of decisions: it has neither ticks nor a format")


def _object(text: str) -> dict[str, object]:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError(f"is not JSON: {error}") from None
    if not isinstance(record, dict):
        raise WireError("must be a JSON object")
    return record


def _problem(path: Path, line: int, rule: str) -> Problem:
    return Problem(file=str(path), line=line, rule=rule)
