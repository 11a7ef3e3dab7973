"""A mind in the place of the production judge; all else stays the production's."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from math import inf

from autoscaler.core.domain import Decision, Mode, RevisionKey
from autoscaler.core.judge import Verdict, apply, look
from autoscaler.core.quiet import Foreseen
from autoscaler.core.reports import UNUSED
from autoscaler.core.revision import Revision
from simulations.policies.policy import Mind, Seen, Wanted

_SPAN_S = 1.0
"""Of a report: who is in it was there in the second before it."""


class _Known:
    """What is remembered of one revision besides what its mind does."""

    __slots__ = (
        "evicted",
        "load_s",
        "marked_at",
        "ready",
        "since",
        "starts",
        "until",
        "used_at",
        "wanted",
    )

    def __init__(self) -> None:
        self.marked_at = -inf
        """The last report with a request in it, of those looked at when idle."""
        self.used_at = -inf
        """When the last request of that report ended."""
        self.wanted = 0
        self.evicted = False
        self.ready = 0
        self.since: float | None = None
        """When the start began that is not ready yet."""
        self.load_s = 0.0
        self.starts = 0
        self.until = -inf
        """Until when its mind answers as it did last."""


class Judging:
    """Called by a Fleet as `judge` is, and asked how long what it said is true.

    Settings bound what a mind wants; its word is taken at once, so window, grace and
    retention count for nothing.
    """

    def __init__(self, mind: Mind) -> None:
        self._mind = mind
        self._known: dict[RevisionKey, _Known] = {}

    def __call__(self, of: Revision, reporters: Collection[str], now: float) -> float:
        known = self._known.get(of.key)
        if known is None:
            known = self._known[of.key] = _Known()
        if of.replicas.ready:
            of.called = False
        seen = self._see(of, known, now)
        wanted = self._mind.decide(seen, now)
        desired, why = _bounded(of, seen, wanted)
        known.wanted, known.until = desired, wanted.until
        of.worth = wanted.worth
        spec = replace(of.scaling, stable_window_s=0, grace_s=0.0, retention_s=0.0)
        decision = Decision(
            desired=wanted.replicas, mode=Mode.STABLE, reason=wanted.reason
        )
        verdict = Verdict(seen=seen.load, decision=decision, desired=desired, why=why)
        return min(apply(of, spec, verdict, now), max(wanted.again_at, now))

    def foresee(
        self,
        of: Revision,
        reporters: Collection[str],
        level: int,
        now: float,
        tick_s: float,
    ) -> Foreseen:
        """Say until when its mind answers as it did last; it sees each change."""
        return max(now, self._known[of.key].until), None

    def _see(self, of: Revision, known: _Known, now: float) -> Seen:
        replicas, reports = of.replicas, of.reports
        in_flight = reports.in_flight() if replicas.target else 0
        held = max(1, reports.held()) if reports.wants(now) or of.called else 0
        if in_flight or held:
            known.used_at = max(known.used_at, of.used_at)
            known.evicted = False
        else:
            if of.used_at > known.marked_at:
                known.used_at = _last_use(of)
                known.marked_at = of.used_at
            if (of.asleep and known.wanted > 0) or _makes_room(of):
                known.evicted = True
        self._time(of, known, now)
        return Seen(
            key=of.key,
            scaling=of.scaling,
            load=look(of, now),
            in_flight=in_flight,
            held=held,
            used_at=known.used_at,
            load_s=known.load_s,
            evicted=known.evicted,
            gpus=of.spec.needs.gpus,
        )

    def _time(self, of: Revision, known: _Known, now: float) -> None:
        """Learn how long starts take, from those that come to be ready."""
        ready, active = of.replicas.ready, of.replicas.active
        if ready > known.ready and known.since is not None:
            known.starts += 1
            known.load_s += (now - known.since - known.load_s) / known.starts
            known.since = None
        if active <= ready:
            known.since = None
        elif known.since is None:
            known.since = of.progress_at
        known.ready = ready


def _last_use(of: Revision) -> float:
    """Return when the last request ended: a report says how long each replica has been
    idle by then, but not when somebody left who had none."""
    uses = of.reports.uses()
    used = [uses.get(member.id, UNUSED)[1] for member in of.replicas.ours()]
    last = max(used, default=-inf)
    return min(of.used_at, last) if of.used_at - last <= _SPAN_S else of.used_at


def _makes_room(of: Revision) -> bool:
    return of.yields is not None and not of.yields.keep


def _bounded(of: Revision, seen: Seen, wanted: Wanted) -> tuple[int, str]:
    """Return what a mind's word comes to: who is busy stays, who made room is away."""
    if of.paused or seen.evicted:
        return 0, of.rests
    if seen.busy and wanted.replicas < 1:
        return 1, "a request waits" if seen.held else "it has requests"
    return wanted.replicas, wanted.reason
