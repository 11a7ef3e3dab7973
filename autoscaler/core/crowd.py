"""The revisions that share a machine's room: who takes it, who waits, who gives."""

from __future__ import annotations

from collections.abc import Collection
from math import inf

from autoscaler.core.domain import Budget, Needs, Replica, RevisionKey, StartFailure
from autoscaler.core.replicas import Replicas
from autoscaler.core.revision import Revision
from autoscaler.core.room import Answer, Tenant, Wish, Yield, place


class Crowd:
    """Keep who takes room and who waits for it; without a budget nobody waits."""

    def __init__(self, budget: Budget) -> None:
        self.limited = budget.memory is not None or budget.gpus is not None
        self.unsettled = False
        """Somebody waits, and something has changed."""
        self._budget = budget
        self._tenants: dict[RevisionKey, Revision] = {}
        self._wishes: dict[RevisionKey, tuple[Revision, int]] = {}
        """Who waits, and for how many replicas."""
        self._givers: dict[RevisionKey, Revision] = {}
        self._rests: dict[RevisionKey, tuple[Replicas, Needs]] = {}
        """What was removed, and is not gone yet."""

    def rebudget(self, budget: Budget) -> list[Revision]:
        """Know what room there is; return who waited and need not any more."""
        self._budget = budget
        self.limited = budget.memory is not None or budget.gpus is not None
        freed = [] if self.limited else [of for of, _ in self._wishes.values()]
        for of in freed:
            self.wishes_nothing(of)
        self.changed()
        return freed

    def came(self, of: Revision) -> None:
        """Know a new revision; what is left of an earlier one is its own."""
        rest = self._rests.pop(of.key, None)
        if rest is not None:
            of.replicas = rest[0]
            of.shown = True
            self.note(of)

    def went(self, of: Revision) -> None:
        """Know that a revision was removed; its replicas go, in their own time."""
        self.wishes_nothing(of)
        self._tenants.pop(of.key, None)
        self._givers.pop(of.key, None)
        of.replicas.stop([member.id for member in of.replicas.ours()], 0)
        if of.replicas.room:
            self._rests[of.key] = (of.replicas, of.spec.needs)
        self.changed()

    def saw_rest(self, key: RevisionKey, picture: tuple[Replica, ...]) -> None:
        """Take a picture of what was removed."""
        rest = self._rests.get(key)
        if rest is not None:
            rest[0].see(picture)
            if not rest[0].room:
                del self._rests[key]
            self.changed()

    def note(self, of: Revision) -> None:
        """Know whether *of* takes room."""
        if of.replicas.room:
            self._tenants[of.key] = of
        else:
            self._tenants.pop(of.key, None)

    def wishes(self, of: Revision, lack: int, now: float) -> None:
        """Have *of* wait for room for *lack* more, in its place."""
        if of.waits_since == inf:
            of.waits_since = now
        self._wishes[of.key] = (of, lack)
        self.unsettled = True

    def wishes_nothing(self, of: Revision) -> None:
        """Have it wait no more."""
        if of.waits_since != inf:
            of.waits_since = inf
            of.waits = ""
            del self._wishes[of.key]
            self.changed()

    def changed(self) -> None:
        """Look at those who wait again, when the call ends."""
        if self._wishes or self._givers:
            self.unsettled = True

    def settled(self) -> None:
        """Know that all who wait have been looked at."""
        self.unsettled = False

    def released(self) -> list[Revision]:
        """Return those that need make no more room: it is made, or nobody wants it."""
        done = [
            of
            for of in self._givers.values()
            if of.yields is None
            or of.yields.to not in self._wishes
            or (of.replicas.target <= of.yields.keep and not of.replicas.draining)
        ]
        for of in done:
            del self._givers[of.key]
            of.yields = None
            of.stale = True
        return done

    def place(
        self, reporters: Collection[str], now: float
    ) -> tuple[list[Answer], list[Yield]]:
        """Ask who of those who wait can start, and who must make room for others."""
        if not self._wishes:
            return [], []
        tenants = [_tenant(of, reporters, now) for of in self._tenants.values()]
        tenants += [
            Tenant(key=key, needs=needs, staying=0, going=replicas.room)
            for key, (replicas, needs) in self._rests.items()
        ]
        answers, gifts = place(
            self._budget,
            tenants,
            [_wish(of, lack) for of, lack in self._wishes.values()],
            now,
        )
        for gift in gifts:
            self._givers[gift.key] = self._tenants[gift.key]
        return answers, gifts

    def answered(self, of: Revision, answer: Answer, now: float) -> None:
        """Do as room answered."""
        lack = self._wishes[of.key][1]
        if answer.start:
            of.start(answer.start, now)
        if answer.start == lack:
            self.wishes_nothing(of)
        elif answer.never:
            self.wishes_nothing(of)
            if answer.final:
                of.failed(StartFailure(reason=answer.reason, final=True), now)
            else:
                of.block(answer.reason, now)
        else:
            self._wishes[of.key] = (of, lack - answer.start)
            of.waits = answer.reason


def _tenant(of: Revision, reporters: Collection[str], now: float) -> Tenant:
    replicas = of.replicas
    return Tenant(
        key=of.key,
        needs=of.spec.needs,
        staying=replicas.active,
        going=replicas.draining + replicas.leaving,
        floor=of.floor,
        idle=of.idle(reporters, now) and not of.reports.wants(now),
        used_at=of.used_at if of.worth is None else of.worth,
        ready_at=of.ready_at,
    )


def _wish(of: Revision, lack: int) -> Wish:
    return Wish(
        key=of.key,
        needs=of.spec.needs,
        lack=lack,
        since=of.waits_since,
        starved=not of.replicas.active,
    )
