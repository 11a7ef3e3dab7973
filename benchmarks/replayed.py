"""A recorded run as a Story, and the same requests, starts and services simulated."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import floor, inf
from statistics import mean
from typing import Any

import numpy as np

from autoscaler.core.calls import Advance, Call, Configure, Failed, Hear, Observe
from autoscaler.core.commands import Command, Decided, Scale, Tell
from autoscaler.core.domain import RevisionKey, RevisionSpec
from autoscaler.core.messages import Ready, Sample, View
from autoscaler.core.wire import decode
from benchmarks.likeness import TICK_S, Story, steps
from simulations.cluster import Behaviour, Life, Part
from simulations.coldstart import measured
from simulations.report import most_at_once
from simulations.run import End, Run
from simulations.workload import Workload
from simulations.world import Model, Scenario, World


@dataclass(slots=True, kw_only=True)
class Seen:
    """One replica of the recording."""

    launched: float
    ready: float = inf
    failed: float = inf
    reason: str = ""
    stopped: float = inf
    gone: float = inf


@dataclass(slots=True, kw_only=True)
class Recording:
    """What a real run's decisions tell, in the clock's seconds."""

    key: RevisionKey
    spec: RevisionSpec
    begun: float
    """When the revision came to be known."""
    replicas: dict[int, Seen] = field(default_factory=dict)
    """By their numbers."""
    desired: list[tuple[float, int]] = field(default_factory=list)
    ready: list[tuple[float, int]] = field(default_factory=list)
    """How many replicas took requests from when on."""
    samples: list[float] = field(default_factory=list)
    advances: list[float] = field(default_factory=list)


def read(lines: list[Mapping[str, Any]], until: float) -> Recording:
    """Read the lines of --record-decisions, as far as *until*."""
    made = _begun(lines)
    shown: set[int] = set()
    for line in lines[1:]:
        now = float(line["now"])
        if now > until:
            break
        call = decode(Call, line["call"])
        match call:
            case Observe():
                there = {_number(each.id) for each in call.replicas}
                for number in there - made.replicas.keys():
                    made.replicas[number] = Seen(launched=now)
                for number, seen in made.replicas.items():
                    if number not in there:
                        seen.gone = min(seen.gone, now)
            case Failed():
                seen = made.replicas[_number(call.failure.replica)]
                seen.failed, seen.reason = now, call.failure.reason
            case Hear(message=Ready(replica=replica)):
                made.replicas[_number(replica)].ready = now
            case Hear(message=Sample()):
                made.samples.append(now)
            case Advance():
                made.advances.append(now)
            case _:
                pass
        for command in (decode(Command, each) for each in line["commands"]):
            match command:
                case Decided():
                    made.desired.append((now, command.replicas))
                case Scale(stop=stop):
                    for name in stop:
                        made.replicas[_number(name)].stopped = now
                case Tell(message=View(addresses=addresses)):
                    shown = {_number(e.replica) for e in addresses if not e.draining}
                case _:
                    pass
        open_ = [n for n in shown if made.replicas[n].ready <= now]
        made.ready.append((now, len(open_)))
    return made


def told(played: Mapping[str, Any]) -> tuple[Story, Recording]:
    """Return what a real run did."""
    begun, span_s = played["begun"], _span(played)
    recording = read(played["decisions"], begun + span_s)
    access = {int(each["request_id"]): each for each in played["access"]}
    sent = [at for at, _ in played["asked"]]
    waits = [_wait(access.get(number)) for number in range(len(sent))]
    times = [at for at, _ in recording.ready]

    def served(at: float) -> bool:
        place = bisect_right(times, at)
        return bool(place and recording.ready[place - 1][1])

    lives = [(each.launched, each.gone) for each in recording.replicas.values()]
    story = Story(
        span_s=span_s,
        arrivals=np.array(sent) - begun,
        waits=np.array(waits),
        cold=np.array(
            [w != 0 and not served(at) for w, at in zip(waits, sent, strict=True)]
        ),
        desired=steps([(at - begun, count) for at, count in recording.desired]),
        replica_s=sum(min(gone, begun + span_s) - at for at, gone in lives),
        starts=len(lives),
        failures=sum(each.failed < inf for each in recording.replicas.values()),
        most=most_at_once(iter(lives)),
    )
    return story, recording


def simulated(played: Mapping[str, Any]) -> Story:
    """Simulate a real run's requests with its own starts, stops and service times."""
    begun, span_s = played["begun"], _span(played)
    _, recording = told(played)
    # Whole seconds: what load is counted in is counted from the clock's.
    origin = floor(recording.begun)
    order = sorted(range(len(played["asked"])), key=lambda n: played["asked"][n][0])
    access = {int(each["request_id"]): each for each in played["access"]}
    served = [access[number] for number in order]
    load = Workload(
        key=recording.key,
        arrivals=array("d", [played["asked"][n][0] - origin for n in order]),
        services=array("d", [each["duration_s"] - each["hold_s"] for each in served]),
    )
    model = Model(
        key=recording.key, spec=recording.spec, behaviour=behaviour(recording)
    )
    run = World(
        Scenario(
            models=(model,),
            workloads=(load,),
            until=begun + span_s - origin,
            sample_at_s=phase(recording.samples),
            late_s=lateness(recording.advances),
            walks=True,
        )
    ).run()
    return _story(run, order, begun - origin, span_s)


def behaviour(recording: Recording) -> Behaviour:
    """Return what replicas took; one that was stopped before it was ready takes what
    the middle one did, as does one more than there was."""
    seen = [recording.replicas[number] for number in sorted(recording.replicas)]
    took = sorted(each.ready - each.launched for each in seen if each.ready < inf)
    stops = sorted(
        each.gone - each.stopped for each in seen if each.stopped < each.gone < inf
    )
    start_s, stop_s = took[len(took) // 2], stops[len(stops) // 2] if stops else 0.0
    return Behaviour(
        cold_start=measured(start_s),
        stop_s=stop_s,
        lives=tuple(
            Life(
                start_s=(
                    each.failed - each.launched
                    if each.failed < inf
                    else each.ready - each.launched
                    if each.ready < inf
                    else start_s
                ),
                stop_s=(
                    each.gone - each.stopped
                    if each.stopped < each.gone < inf
                    else stop_s
                ),
                failure=each.reason,
            )
            for each in seen
        ),
    )


def phase(times: list[float]) -> float:
    """Return when in a second *times* are, about the middle of them.

    >>> round(phase([0.24, 1.25, 2.26]), 2)
    0.25
    """
    turned = np.exp(2j * np.pi * np.array(times))
    return (
        float(np.angle(np.median(turned.real) + 1j * np.median(turned.imag)))
        / (2 * np.pi)
        % 1.0
    )


def _begun(lines: list[Mapping[str, Any]]) -> Recording:
    for line in lines[1:]:
        call = decode(Call, line["call"])
        if isinstance(call, Configure):
            return Recording(key=call.key, spec=call.spec, begun=float(line["now"]))
    raise ValueError("no revision was recorded")


def lateness(ticks: list[float]) -> float:
    """Return by how much ticks come late in the mean: each counts from the one before.

    >>> round(lateness([0.0, 2.001, 4.002, 9.0, 11.001]), 4)
    0.001
    """
    apart = [b - a - TICK_S for a, b in pairwise(ticks)]
    late = [each for each in apart if 0.0 <= each < 0.1]
    return mean(late) if late else 0.0


def _story(run: Run, order: list[int], begun: float, span_s: float) -> Story:
    count = len(order)
    waits, cold = np.full(count, np.nan), np.zeros(count, dtype=np.bool_)
    for place, number in enumerate(order):
        if run.ends[place] in (End.ANSWERED, End.PENDING):
            waits[number] = run.waits.get(place, 0.0)
        cold[number] = bool(run.cold[place])
    arrivals = np.zeros(count)
    arrivals[order] = np.array(run.requests.arrivals) - begun
    return Story(
        span_s=span_s,
        arrivals=arrivals,
        waits=waits,
        cold=cold,
        desired=steps([(at - begun, made.replicas) for at, made in run.decisions]),
        replica_s=sum(each.seconds[part] for each in run.machines for part in Part),
        starts=len(run.machines),
        failures=sum(run.failures.values()),
        most=most_at_once((each.launched, each.gone) for each in run.machines),
    )


def _wait(line: Mapping[str, Any] | None) -> float:
    if line is None or not line["replica"] or line["outcome"] != "ok":
        return float("nan")
    return float(line["hold_s"])


def _span(played: Mapping[str, Any]) -> float:
    return float(sum(length for length, _ in played["plan"]["phases"]))


def _number(replica: str) -> int:
    return int(replica.rpartition("-")[2])
