"""All revisions: what is heard of them goes in, what is to be done comes out.

A call does what it causes at once; `take` returns the commands since the last one.
Calls with the same arguments in the same order give the same commands.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import assert_never

from autoscaler.core.agenda import Agenda
from autoscaler.core.commands import Command, Order, Status, Tell
from autoscaler.core.crowd import Crowd
from autoscaler.core.domain import (
    Budget,
    Replica,
    RevisionKey,
    RevisionSpec,
    StartFailure,
)
from autoscaler.core.fit import fit, follow, hush, stop_drained
from autoscaler.core.judge import Judge, judge
from autoscaler.core.messages import (
    Drained,
    Gone,
    Lost,
    Ready,
    Sample,
    Uplink,
    View,
    Wake,
)
from autoscaler.core.quiet import Foresight, land, leap, remember
from autoscaler.core.revision import Revision
from autoscaler.core.status import status

_AGAIN_S = 1.0
"""An activator that reports on an old view so long after a new one is told again."""


class Fleet:
    """Decide for thousands of revisions; one that sleeps costs nothing."""

    def __init__(
        self,
        *,
        budget: Budget,
        now: float,
        tick_s: float = 2.0,
        judge: Judge = judge,
        foresight: Foresight | None = None,
    ) -> None:
        self._tick_s = tick_s
        self._judge = judge
        self._foresight = foresight
        """Of *judge*, to leave out ticks of which nothing can come; None: none is."""
        self._revisions: dict[RevisionKey, Revision] = {}
        self._reporters: dict[str, float] = {}
        """Who reports, and since when."""
        self._agenda: Agenda[Revision] = Agenda()
        self._crowd = Crowd(budget)
        self._touched: list[Revision] = []
        self._commands: list[Command] = []
        self._leading = True

    @property
    def wake_at(self) -> float:
        """When `advance` is wanted next; inf: only after another call."""
        return self._agenda.wake_at

    def configure(self, key: RevisionKey, spec: RevisionSpec, now: float) -> None:
        """Know *key* by these settings; a new one is decided on in the next advance.

        Until then a backend can show what there is of it already.
        """
        of = self._revisions.get(key)
        if of is None:
            of = Revision(key, spec, now, leaps=self._foresight is not None)
            self._revisions[key] = of
            self._crowd.came(of)
            self._touch(of)
            if not of.asleep:
                self._agenda.put(of, now)
        elif of.spec != spec:
            remember(of, now, self._tick_s)
            of.configure(spec, now)
            self._reconsider(now)
            self._decide(of, now)
        self._close(now)

    def remove(self, key: RevisionKey, now: float) -> None:
        """Forget *key*; its replicas take room until a backend shows that they went."""
        of = self._revisions.pop(key, None)
        if of is None:
            return
        self._agenda.put(of, inf)
        self._crowd.went(of)
        self._commands.append(Tell(message=Gone(key=key)))
        self._reconsider(now)
        self._close(now)

    def lead(self, *, leading: bool, now: float) -> None:
        """Decide alone, or follow another Fleet: only what sleeps is woken then."""
        self._leading = leading
        for of in self._revisions.values():
            self._decide(of, now)
        self._close(now)

    def standing(
        self, key: RevisionKey, now: float, *, aside: bool, keeps: str, awaits: str
    ) -> None:
        """Know what a backend alone knows of *key*; see `Revision.stand`."""
        if (of := self._revisions.get(key)) and of.stand(aside, keeps, awaits):
            self._decide(of, now)
            self._close(now)

    def rebudget(self, budget: Budget, now: float) -> None:
        """Know that there is other room than before."""
        for of in self._crowd.rebudget(budget):
            self._decide(of, now)
        self._reconsider(now)
        self._close(now)

    def joined(self, reporter: str, now: float) -> None:
        """Expect samples of *reporter*: until a whole window is known nothing goes."""
        self._reporters[reporter] = now

    def left(self, reporter: str, now: float) -> None:
        """Expect none of it any more: its process has ended."""
        if self._reporters.pop(reporter, None) is None:
            return
        for of in self._revisions.values():
            of.reports.forget(reporter)
            of.replicas.forget(reporter)
            self._drained(of)
        self._close(now)

    def hear(self, message: Uplink, now: float) -> None:
        """Take what an activator says; one that has not joined says nothing."""
        if message.reporter not in self._reporters:
            return
        of = self._revisions.get(message.key)
        if of is None:
            self._commands.append(Tell(message=Gone(key=message.key)))
            return
        if not self._leading and isinstance(message, Sample | Wake):
            of.renumber(message.epoch)
        match message:
            case Sample():
                self._sample(of, message, now)
            case Wake():
                self._wake(of, message, now)
            case Ready(reporter=reporter, replica=replica):
                if of.replicas.say(replica, reporter, ready=True):
                    self._ready(of, now)
            case Lost(reporter=reporter, replica=replica):
                of.replicas.say(replica, reporter, ready=False)
                of.progress_at = now
                self._decide(of, now)
            case Drained(reporter=reporter, replica=replica):
                of.replicas.emptied(replica, reporter)
                self._drained(of)
            case _:
                assert_never(message)
        self._close(now)

    def observe(
        self, key: RevisionKey, replicas: tuple[Replica, ...], now: float
    ) -> None:
        """Take a backend's complete picture of *key*.

        What it shows of a revision that was never commanded is kept as it is.
        """
        of = self._revisions.get(key)
        if of is None:
            self._crowd.saw_rest(key, replicas)
            self._close(now)
            return
        before = of.replicas.ready, of.replicas.target
        if replicas and not of.shown and not of.replicas.target:
            of.adopt(replicas, now)
        else:
            deaths = of.replicas.see(replicas, ours=self._leading)
            if deaths.starting:
                reason = "it ended before it was ready"
                of.failed(StartFailure(reason=reason, final=False), now)
            if deaths.starting or deaths.ready:
                of.scale = "a replica is gone"
        of.shown = True
        of.stale = True
        self._touch(of)
        self._crowd.changed()
        if of.replicas.ready > before[0]:
            self._ready(of, now)
        elif (of.replicas.ready, of.replicas.target) != before:
            self._decide(of, now)
        self._close(now)

    def failed(self, key: RevisionKey, failure: StartFailure, now: float) -> None:
        """Take a start that failed: it is tried again later, and ever later."""
        if (of := self._revisions.get(key)) is None:
            return
        before = of.replicas.target
        if of.replicas.died(failure.replica):
            of.failed(failure, now)
        if of.replicas.target != before:
            of.scale = f"a start failed: {failure.reason}"
            if failure.replica:
                # A backend may count it until its next picture.
                of.stops.append(failure.replica)
            self._crowd.changed()
            self._decide(of, now)
        self._close(now)

    def usage(self, key: RevisionKey, percent: float, now: float) -> None:
        """Take the mean use of cpu or memory, in % of the request."""
        if (of := self._revisions.get(key)) is not None:
            of.percent, of.percent_at = percent, now

    def order(self, key: RevisionKey, order: Order, now: float) -> None:
        """Do what a person asks for; KeyError: there is no such revision."""
        of = self._revisions[key]
        match order:
            case Order.WAKE:
                of.hurry()
                self._rouse(of, now)
            case Order.SLEEP:
                self._put_to_sleep(of, now)
            case Order.PIN | Order.UNPIN:
                of.pin(pinned=order is Order.PIN)
                self._reconsider(now)
                self._decide(of, now)
            case _:
                assert_never(order)
        self._close(now)

    def advance(self, now: float) -> None:
        """Do all that is due by *now*."""
        while (of := self._agenda.pop(now)) is not None:
            of.lift(now)
            self._decide(of, now)
        self._close(now)

    def take(self) -> list[Command]:
        """Return the commands since the last take, in order."""
        commands, self._commands = self._commands, []
        return commands

    def view(self, key: RevisionKey) -> View:
        """Return *key* as activators must see it; KeyError: there is no such one."""
        return self._revisions[key].view()

    def status(self, key: RevisionKey) -> Status:
        """Return *key* as `status` shows it; KeyError: there is no such one."""
        return status(self._revisions[key])

    def keys(self) -> Iterable[RevisionKey]:
        """Return all revisions, in the order in which they came."""
        return self._revisions.keys()

    def _sample(self, of: Revision, sample: Sample, now: float) -> None:
        of.heard(sample, now)
        if of.leapt is not None:
            self._agenda.put(of, land(of, sample, self._reporters, now, self._tick_s))
        ready = of.replicas.probed(sample.reporter, sample.replicas)
        if ready > 0:
            self._ready(of, now)
        elif ready < 0:
            self._decide(of, now)
        if sample.version != of.version:
            self._other_view(of, sample, now)
        if of.replicas.draining:
            self._drained(of)
        asked = (sample.held or sample.in_flight) and sample.epoch >= of.epoch
        if asked and of.asleep and of.refusal is None:
            # A wake that was lost, or load that came back while it drained.
            of.called = not of.paused
            self._rouse(of, now)

    def _other_view(self, of: Revision, sample: Sample, now: float) -> None:
        """Heal an activator that has an old view, or one of a Fleet before this."""
        if sample.version > of.version:
            of.catch_up(sample)
            self._touch(of)
        elif now - of.told_at >= _AGAIN_S:
            self._tell_again(of, now)

    def _wake(self, of: Revision, wake: Wake, now: float) -> None:
        if wake.epoch < of.epoch or of.refusal is not None:
            self._tell_again(of, now)
            return
        if wake.epoch > of.epoch:
            of.epoch = wake.epoch
            of.stale = True
        of.used_at = now
        of.reports.knocked(wake.reporter, wake.held, now)
        if not of.asleep:
            of.spent = True
        self._rouse(of, now)

    def _tell_again(self, of: Revision, now: float) -> None:
        of.told_at = now
        self._commands.append(Tell(message=of.view()))

    def _ready(self, of: Revision, now: float) -> None:
        of.backoff = of.backoff.ready(now)
        of.refusal = None
        of.progress_at = now
        self._crowd.changed()
        self._decide(of, now)

    def _put_to_sleep(self, of: Revision, now: float) -> None:
        if why_not := of.needed(self._reporters, now):
            of.reason = f"not put to sleep: {why_not}"
        elif not of.asleep:
            of.sleep("put to sleep by hand", now)
            self._decide(of, now)

    def _rouse(self, of: Revision, now: float) -> None:
        """Decide on *of*; if that wakes it, wake those that it needs too."""
        slept = of.asleep
        if of.yields is not None and not of.yields.busy:
            of.yields = None  # It was to make room because it was idle.
            self._crowd.changed()
        self._decide(of, now)
        if slept and not of.asleep:
            for key in of.spec.together:
                other = self._revisions.get(key)
                if other is not None and other.asleep:
                    other.called = True
                    self._rouse(other, now)

    def _decide(self, of: Revision, now: float) -> None:
        again_at = self._judge(of, self._reporters, now)
        if self._leading:
            fit(of, self._crowd, self._reporters, now)
        else:
            follow(of, self._crowd, now)
        self._touch(of)
        silent = of.replicas.ready and of.reports.silent(self._reporters, now)
        if silent and now - of.told_at >= _AGAIN_S:
            # Who knows of no replica reports nothing: it has lost the view.
            self._tell_again(of, now)
        foresees, who = self._foresight, self._reporters
        at = leap(foresees, of, who, again_at, now, self._tick_s)
        self._agenda.put(of, at)

    def _drained(self, of: Revision) -> None:
        """Stop those that have nothing left."""
        if stop_drained(of, self._reporters):
            self._touch(of)
            self._crowd.changed()

    def _reconsider(self, now: float) -> None:
        """Let those try again who could not have room as things were."""
        for of in self._revisions.values():
            if of.blocked:
                of.unblock()
                self._decide(of, now)
        self._crowd.changed()

    def _make_room(self, now: float) -> None:
        crowd = self._crowd
        for of in self._touched:
            crowd.note(of)
        for of in crowd.released():
            self._decide(of, now)
        answers, gifts = crowd.place(self._reporters, now)
        for answer in answers:
            of = self._revisions[answer.key]
            crowd.answered(of, answer, now)
            self._touch(of)
            if answer.never:
                self._decide(of, now)
            self._agenda.put(of, min(of.due, answer.again_at))
        for gift in gifts:
            of = self._revisions[gift.key]
            of.give(gift, now)
            self._decide(of, now)
        crowd.settled()

    def _touch(self, of: Revision) -> None:
        if not of.touched:
            of.touched = True
            self._touched.append(of)

    def _close(self, now: float) -> None:
        """End a call: room first, then say what has changed."""
        if self._crowd.unsettled:
            self._make_room(now)
        if self._touched:
            for of in self._touched:
                hush(of, leading=self._leading)
                of.say(self._commands, now)
                self._crowd.note(of)
            self._touched.clear()
