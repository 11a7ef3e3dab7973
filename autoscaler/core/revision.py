"""One revision as the Fleet knows it: settings, load, replicas, and where it stands."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from math import inf

from autoscaler.core.backoff import Backoff
from autoscaler.core.commands import Command, Decided, Scale, Tell
from autoscaler.core.decide import DeciderState
from autoscaler.core.domain import (
    Metric,
    Replica,
    RevisionKey,
    RevisionSpec,
    StartFailure,
)
from autoscaler.core.load import Load
from autoscaler.core.messages import Refusal, Sample, View
from autoscaler.core.quiet import Leap
from autoscaler.core.replicas import Replicas
from autoscaler.core.reports import Reports
from autoscaler.core.room import Yield
from autoscaler.core.zero import Phase, ZeroState

LONGEST_BACKOFF_S = 300.0
"""A start that always fails is tried again after this long."""

_BLOCKED_S = 30.0
"""A start for which others leave no room is tried again after this long."""


class Revision:
    """What is remembered of one revision; its rules are in the modules that use it."""

    __slots__ = (
        "aside",
        "awaits",
        "backoff",
        "blocked",
        "born",
        "called",
        "decided",
        "decider",
        "due",
        "epoch",
        "keeps",
        "key",
        "leapt",
        "load",
        "mode",
        "percent",
        "percent_at",
        "pinned",
        "progress_at",
        "ready_at",
        "reason",
        "refusal",
        "refused_until",
        "replicas",
        "reports",
        "rests",
        "scale",
        "scaling",
        "shown",
        "spec",
        "spent",
        "stale",
        "stops",
        "told",
        "told_at",
        "touched",
        "used_at",
        "version",
        "waits",
        "waits_since",
        "want",
        "worth",
        "yields",
        "zero",
    )

    def __init__(
        self, key: RevisionKey, spec: RevisionSpec, now: float, *, leaps: bool = False
    ) -> None:
        self.key = key
        self.spec = spec
        self.pinned = False
        self.scaling = spec.scaling
        """With the pin in it."""
        self.due = inf
        self.leapt: Leap | None = None
        """The ticks that are being left out, if any are."""
        self.born = now
        """Since when its load is counted: before a whole window nothing goes."""
        self.load = Load(spec.scaling)
        self.reports = Reports(leaps=leaps)
        self.replicas = Replicas()
        self.decider = DeciderState()
        self.zero = ZeroState.fresh(spec.scaling, now)
        self.backoff = Backoff()
        self.percent: float | None = None
        self.percent_at = -inf
        self.used_at = -inf
        """When it was last known to have a request."""
        self.worth: float | None = None
        """What counts in its place, where who is idle makes room."""
        self.ready_at = inf
        """Since when somebody serves; inf: nobody does."""
        self.progress_at = now
        """When a start began, or ended well."""
        self.called = False
        """A person, or a revision that needs it, wants it up, until it is."""
        self.aside = False
        """Clients reach its replicas without an activator."""
        self.awaits = ""
        """What a start waits for that has no deadline of ours: a node, an image."""
        self.keeps = ""
        """Why it must not go to zero now, whatever its load; empty: it may."""
        self.want = 0
        """Replicas to have, room or not."""
        self.mode = "stable"
        self.reason = self.rests = "no request yet"
        """Why *want*; and why it sleeps, if it does."""
        self.waits_since = inf
        """Since when a start waits for room; inf: none does."""
        self.waits = ""
        """For what room it waits, in words."""
        self.blocked = ""
        """Why it can never have room, as things are."""
        self.yields: Yield | None = None
        """It is making room for another."""

        self.epoch = 0
        self.spent = False
        """A wake has named the epoch while nobody slept: the next sleep has another."""
        self.version = 0
        self.told: View | None = None
        self.told_at = -inf
        self.refusal: Refusal | None = None
        self.refused_until = -inf
        self.shown = False
        """A backend has shown its picture."""

        self.touched = False
        """What follows is to be said when the call that is being made has ended."""
        self.stale = True
        """The view may have changed."""
        self.scale = ""
        """Why the backend must be told a number; empty: it need not."""
        self.stops: list[str] = []
        self.decided: Decided | None = None

    @property
    def asleep(self) -> bool:
        """Whether it is to have no replica; one may still be draining."""
        return self.zero.empty and self.zero.phase is Phase.ASLEEP

    @property
    def floor(self) -> int:
        """Replicas that it keeps, whatever happens."""
        return self.scaling.min_replicas if self.scaling.reachable else 0

    @property
    def paused(self) -> str:
        """Why new requests are held, if they are."""
        gives = self.yields
        if gives is None or gives.keep or not gives.busy:
            return ""
        return f"makes room for {gives.to}"

    def heard(self, sample: Sample, now: float) -> None:
        """Count the load of *sample*, second by second, unless it was counted."""
        new_s = self.reports.heard(sample, now)
        if sample.held or sample.in_flight or sample.requests or sample.concurrency:
            self.used_at = now
        if new_s > 0:
            load = sample.concurrency
            if self.scaling.metric is Metric.RPS:
                load = sample.requests / sample.span_s
            self.load.record(load, new_s, now)

    def covered(self, reporters: Collection[str], now: float) -> bool:
        """Say whether all that came in a whole window is known."""
        begin = now - self.scaling.stable_window_s
        known = bool(reporters) and self.born <= begin
        return known and self.reports.covers(reporters, begin, now)

    def idle(self, reporters: Collection[str], now: float) -> bool:
        """Say whether all reporters said just now that it has no request."""
        return bool(reporters) and self.reports.idle(reporters, now)

    def needed(self, reporters: Collection[str], now: float) -> str:
        """Say why it may not be put to sleep; empty: it may."""
        if self.floor:
            return "pinned" if self.pinned else f"minReplicas is {self.floor}"
        idle = self.idle(reporters, now) or not self.replicas.ready
        return "" if idle and not self.reports.wants(now) else "it has requests"

    def configure(self, spec: RevisionSpec, now: float) -> None:
        """Take new settings: they count at once, and the load so far is kept."""
        before = self.spec.scaling
        self.spec = spec
        self._pin()
        if not self.load.configure(before, spec.scaling, now):
            self.born = now
        self.backoff = Backoff()
        self.unblock()

    def pin(self, *, pinned: bool) -> None:
        """Keep at least one replica, or no more than the settings say."""
        self.pinned = pinned
        self._pin()

    def _pin(self) -> None:
        scaling = self.spec.scaling
        if self.pinned and scaling.min_replicas == 0:
            scaling = replace(scaling, min_replicas=1)
        self.scaling = scaling

    def stand(self, aside: bool, keeps: str, awaits: str) -> bool:
        """Know how activators stand to it, why it must not go to zero now, and what a
        start waits for that takes its own time; say whether any of it is news."""
        before = self.aside, self.keeps, self.awaits
        self.stale |= self.aside != aside
        self.aside, self.keeps, self.awaits = aside, keeps, awaits
        return before != (aside, keeps, awaits)

    def adopt(self, picture: tuple[Replica, ...], now: float) -> None:
        """Take what a backend has for what it was told to have."""
        self.replicas.adopt(picture)
        self.progress_at = now
        if self.asleep:
            self.woke()
        self.zero = ZeroState(phase=Phase.WAKING, since=now, initialised=True)
        self.decider = DeciderState.fresh(self.scaling, len(picture), now)

    def start(self, number: int, now: float) -> None:
        """Start *number* more."""
        self.replicas.start(number)
        self.scale = self.scale or self.reason
        self.progressed(now)

    def progressed(self, now: float) -> None:
        """Count the progress deadline from now: it is that of an attempt."""
        self.progress_at = now
        if self.zero.phase is Phase.WAKING:
            self.zero = replace(self.zero, since=now)

    def stop(self, names: list[str]) -> None:
        """Stop those that are drained."""
        self.replicas.stop(names, self.replicas.target - len(names))
        self.stops += names
        self.scale = self.scale or self.reason
        self.stale = True

    def failed(self, failure: StartFailure, now: float) -> None:
        """Know that a start failed; refuse those who wait, if waiting cannot help."""
        self.backoff = self.backoff.failed(failure, LONGEST_BACKOFF_S, now)
        if self.backoff.refuses and not self.replicas.active:
            self.refuse(failure.reason, self.backoff.until, now)

    def refuse(self, reason: str, until: float, now: float) -> None:
        """Answer all who ask with *reason*, those who are held too."""
        if self.refusal is None or self.refused_until <= now:
            self.refusal = Refusal(reason=reason, retry_after_s=until - now)
            self.refused_until = until
        self.reports.refused()
        self.called = False
        self.stale = True
        if not self.floor:
            self.sleep(reason, now)

    def lift(self, now: float) -> None:
        """Let requests try again, if it is time."""
        if self.refusal is not None and self.refused_until <= now:
            self.reports.refused()
            self.unblock()

    def block(self, reason: str, now: float) -> None:
        """Know that it cannot have room, as things are."""
        self.blocked = reason
        self.refuse(reason, now + _BLOCKED_S, now)

    def unblock(self) -> None:
        """Have requests try again."""
        self.blocked = ""
        self.refusal = None
        self.stale = True

    def hurry(self) -> None:
        """Start now if nobody serves, whatever failed before."""
        if not self.replicas.ready:
            self.called = True
            self.backoff = Backoff()
            self.unblock()

    def give(self, gift: Yield, now: float) -> None:
        """Make room for another."""
        self.yields = gift
        self.stale = True
        if not gift.keep:
            self.sleep(f"made room for {gift.to}", now)

    def sleep(self, why: str, now: float) -> None:
        """Be asleep at once, whatever there was to do."""
        self.zero = ZeroState(
            phase=Phase.ASLEEP, since=now, initialised=True, empty=True
        )
        self.slept(why)

    def slept(self, why: str) -> None:
        """Forget the load of before: only a new request wakes it."""
        self.rests = why
        self.load.forget(self.scaling)
        self.decider = DeciderState()
        self.called = False
        if self.spent:
            self.woke()

    def woke(self) -> None:
        """Number the next sleep: wakes that name this one are late."""
        self.epoch += 1
        self.spent = False
        self.stale = True

    def renumber(self, epoch: int) -> None:
        """Have the number that who leads has told; what ended here is told no more."""
        self.spent |= epoch < self.epoch
        self.epoch = epoch

    def say(self, commands: list[Command], now: float) -> None:
        """Add what is to be said of it."""
        self.touched = False
        if not self.replicas.ready:
            self.ready_at = inf
        elif self.ready_at == inf:
            self.ready_at = now
        if self.decided is not None:
            commands.append(self._as_room_allows(self.decided))
            self.decided = None
        if self.stale:
            self.stale = False
            view = self._see()
            if view != self.told:
                self.version += 1
                self.told = replace(view, version=self.version)
                self.told_at = now
                self.replicas.told(self.version)
                commands.append(Tell(message=self.told))
        if self.scale:
            commands.append(
                Scale(
                    key=self.key,
                    replicas=self.replicas.target,
                    stop=tuple(self.stops),
                    reason=self.scale,
                )
            )
            self.scale = ""
            self.stops.clear()

    def catch_up(self, sample: Sample) -> None:
        """Number views and sleeps after those that a Fleet before this one told."""
        self.version = sample.version
        self.epoch = max(self.epoch, sample.epoch)
        self.told = None
        self.stale = True

    def _as_room_allows(self, decided: Decided) -> Decided:
        """Say what comes of a decision now: not all, if it waits or another acts."""
        if self.want <= self.replicas.active:
            return decided
        waits = self.waits or self.blocked
        if not waits and self.backoff.reason:
            waits = f"the last start failed: {self.backoff.reason}"
        reason = f"{decided.reason}; {waits}" if waits else decided.reason
        return replace(decided, replicas=self.replicas.active, reason=reason)

    def view(self) -> View:
        """Return what activators were told."""
        return self._see() if self.told is None else self.told

    def _see(self) -> View:
        limit = self.spec.gate.container_concurrency
        return View(
            key=self.key,
            version=self.version,
            epoch=self.epoch,
            gate=self.spec.gate,
            probe=self.spec.probe,
            addresses=self.replicas.addresses(limit or -1),
            paused=self.paused,
            refusal=self.refusal,
            entrances=self.spec.entrances,
            aside=self.aside,
        )
