"""Whole slots of each replica, shared out between activators.

The law: whatever is lost, repeated, late or dead, what the activators may use of a
replica never sums to more than its limit. So a slot that was told to one is told to
another only after the first has acknowledged a view without it.

Who begins to lead does not know what the leader before it told. Its first views let
each activator keep what it has, and each says in its acknowledgement what that is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from autoscaler.core.domain import RevisionKey
from autoscaler.core.messages import Sample, View

SPAN = 1 << 20
"""Versions that Shares may make between two of the Fleet's."""

TERM = 1 << 64
"""Versions of one term: out = term * TERM + fleet * SPAN + n."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Send *view*, with this activator's own slots, to *activator*."""

    activator: str
    view: View


@dataclass(slots=True)
class _Stake:
    """What one activator has of one replica."""

    told: int = 0
    """The newest grant."""
    bound: int = 0
    """What it may still be using: the highest grant that it may not have left yet."""
    version: int = 0
    """The view that carried the newest change of `told`."""
    in_flight: int = 0
    kept: bool = False
    """What it has of it is not known: some leader before told it."""


@dataclass(slots=True)
class _Claim:
    """What one activator said it wants of one revision."""

    held: int = 0
    in_flight: int = 0
    acknowledged: int = 0


@dataclass(slots=True)
class _Revision:
    view: View
    version: int
    turn: int = 0
    stakes: dict[str, dict[str, _Stake]] = field(default_factory=dict)
    """Replica, activator."""
    inherited: set[str] = field(default_factory=set)
    """Replicas that a leader before may have told of."""
    absent: set[str] = field(default_factory=set)
    """Replicas that left the view while they had stakes: they may come back."""
    claims: dict[str, _Claim] = field(default_factory=dict)


class Shares:
    """Share slots evenly, lend idle ones on demand, and take turns where few are left.

    An activator that `left` is a process that has ended; one that is only out of touch
    keeps its slots, because it keeps working.
    """

    def __init__(
        self,
        *,
        rest_s: float,
        now: float,
        turn_s: float = 1.0,
        term: int = 0,
        inherits_s: float = 0.0,
    ) -> None:
        self._base = term * TERM
        self._inherits_until = now + inherits_s
        """A leader before may have seen replicas that are seen here until then."""
        self._heirs: set[str] = set()
        self._rest_s = rest_s
        """How long a dead activator's connections may live on at the replicas."""
        self._turn_s = turn_s
        self._activators: dict[str, float] = {}
        """Those that live, with inf; those that rest, with the end of their rest."""
        self._revisions: dict[RevisionKey, _Revision] = {}
        self._next_turn = now + turn_s
        self._grants: list[Grant] = []

    @property
    def wake_at(self) -> float:
        """When `advance` has something to do."""
        return self._next_turn if self._revisions else math.inf

    def joined(self, activator: str, now: float, *, heir: bool = False) -> None:
        """Give *activator* its part of every revision, as it becomes free.

        An *heir* may have slots that a leader of another term told it.
        """
        if heir and activator not in self._activators:
            self._heirs.add(activator)
        self._activators[activator] = math.inf
        for revision in self._revisions.values():
            revision.claims.setdefault(activator, _Claim())
            self._tell(
                revision, {activator: None} | dict.fromkeys(self._share(revision))
            )

    def left(self, activator: str, now: float) -> None:
        """Let the slots of *activator*, whose process ended, rest; then share them."""
        if self._activators.get(activator) == math.inf:
            self._activators[activator] = now + self._rest_s

    def update(self, view: View, now: float) -> None:
        """Share out *view*, whose slots are the replicas' whole limits."""
        revision = self._revisions.get(view.key)
        if revision is None:
            revision = _Revision(view=view, version=self._base + view.version * SPAN)
            self._revisions[view.key] = revision
            revision.claims = {each: _Claim() for each in self._living()}
        elif view.version < revision.view.version:
            return
        revision.view = view
        revision.version = max(revision.version + 1, self._base + view.version * SPAN)
        addresses = {each.replica for each in view.addresses}
        revision.inherited &= addresses
        if now < self._inherits_until:
            revision.inherited |= addresses
        absent = revision.stakes.keys() - addresses
        for replica in absent - revision.absent:
            for stake in revision.stakes[replica].values():
                stake.told, stake.kept, stake.version = 0, False, revision.version
        revision.absent = absent
        self._share(revision)
        self._tell(revision, self._living())

    def gone(self, key: RevisionKey) -> None:
        """Forget a revision."""
        self._revisions.pop(key, None)

    def heard(self, sample: Sample, now: float) -> Sample:
        """Learn from *sample*; return it with the Fleet's own version in it.

        That is -1 where it speaks of another term's view.
        """
        ours = 0 <= sample.version - self._base < TERM
        revision = self._revisions.get(sample.key)
        claim = revision.claims.get(sample.reporter) if revision else None
        if revision is not None and claim is not None:
            if ours and claim.acknowledged <= sample.version <= revision.version:
                self._acknowledge(revision, claim, sample)
            if sample.version < revision.version:
                # What was sent may be lost; telling it again is harmless.
                self._tell(revision, (sample.reporter,))
        version = (sample.version - self._base) // SPAN if ours else -1
        return replace(sample, version=version)

    def advance(self, now: float) -> None:
        """Take turns, and share out what has rested long enough."""
        if now < self._next_turn:
            return
        self._next_turn = now + self._turn_s
        rested = [each for each, until in self._activators.items() if until <= now]
        for activator in rested:
            del self._activators[activator]
            self._heirs.discard(activator)
        for revision in self._revisions.values():
            for activator in rested:
                revision.claims.pop(activator, None)
                for stakes in revision.stakes.values():
                    stakes.pop(activator, None)
            if rested:
                self._clear(revision)
            revision.turn += 1
            if revision.view.addresses:  # One that sleeps costs nothing.
                self._tell(revision, self._share(revision))

    def all_of(self, activator: str) -> list[View]:
        """Return the newest view of each revision for *activator*."""
        return [self._grant(activator, each).view for each in self._revisions.values()]

    def personal(self, activator: str, key: RevisionKey) -> View:
        """Return the newest view of *key* for *activator*; KeyError if none."""
        return self._grant(activator, self._revisions[key]).view

    def take(self) -> list[Grant]:
        """Return what is to be sent since the last call."""
        grants, self._grants = self._grants, []
        return grants

    def _living(self) -> list[str]:
        return [each for each, until in self._activators.items() if until == math.inf]

    def _acknowledge(self, revision: _Revision, claim: _Claim, sample: Sample) -> None:
        claim.acknowledged = sample.version
        claim.held, claim.in_flight = sample.held, sample.in_flight
        loads = {each.replica: each for each in sample.replicas}
        for replica, stakes in revision.stakes.items():
            stake = stakes.get(sample.reporter)
            if stake is None:
                continue
            load = loads.get(replica)
            stake.in_flight = load.in_flight if load else 0
            if sample.version >= stake.version:
                if stake.kept and load is not None and load.slots is not None:
                    stake.told, stake.kept = min(stake.told, load.slots), False
                # Above its grant it can only go down, so an old figure is safe.
                stake.bound = max(stake.told, min(stake.bound, stake.in_flight))
                if replica in revision.absent and not stake.bound:
                    del stakes[sample.reporter]
        self._clear(revision)
        self._tell(revision, self._share(revision))

    def _clear(self, revision: _Revision) -> None:
        for replica in [each for each in revision.absent if not revision.stakes[each]]:
            revision.absent.discard(replica)
            del revision.stakes[replica]

    def _tell(self, revision: _Revision, activators: Iterable[str]) -> None:
        self._grants.extend(self._grant(each, revision) for each in activators)

    def _grant(self, activator: str, revision: _Revision) -> Grant:
        addresses = []
        for each in revision.view.addresses:
            stake = revision.stakes.get(each.replica, {}).get(activator)
            slots = each.slots if each.slots < 0 else stake.told if stake else 0
            kept = stake is not None and stake.kept
            addresses.append(replace(each, slots=slots, kept=kept))
        view = replace(
            revision.view, version=revision.version, addresses=tuple(addresses)
        )
        return Grant(activator=activator, view=view)

    def _share(self, revision: _Revision) -> list[str]:
        """Move towards the fair shares as far as is safe; return who must be told."""
        limits = {
            each.replica: each.slots
            for each in revision.view.addresses
            if each.slots >= 0 and not each.draining
        }
        living = self._living()
        goals = _fair(sum(limits.values()), revision, living)
        changed: dict[str, None] = {}
        version = revision.version + 1
        for replica, limit in limits.items():
            stakes = revision.stakes.setdefault(replica, {})
            for activator, until in self._activators.items():
                if activator in stakes:
                    continue
                stake = stakes[activator] = _Stake()
                if replica in revision.inherited and activator in self._heirs:
                    stake.kept, stake.version = True, version
                    stake.told = stake.bound = limit
                    if until == math.inf:
                        changed[activator] = None
        for activator in living:
            mine = [revision.stakes[r][activator] for r in limits]
            over = sum(stake.told for stake in mine if not stake.kept)
            over -= goals[activator]
            # Idle slots go first: they are free as soon as it is acknowledged.
            mine.sort(key=lambda stake: stake.in_flight - stake.told)
            for stake in mine:
                if stake.kept:
                    continue  # Until it is known, nobody's work is to suffer.
                less = min(max(over, 0), stake.told)
                if less:
                    stake.told -= less
                    stake.version = version
                    over -= less
                    changed[activator] = None
        for activator in _by_turn(living, revision.turn):
            lack = goals[activator]
            lack -= sum(revision.stakes[r][activator].told for r in limits)
            for replica, free in _freest(limits, revision.stakes):
                more = min(lack, free)
                if more > 0:
                    stake = revision.stakes[replica][activator]
                    stake.told += more
                    stake.bound = max(stake.bound, stake.told)
                    stake.version = version
                    lack -= more
                    changed[activator] = None
        if changed:
            revision.version = version
        return list(changed)


def _freest(
    limits: dict[str, int], stakes: dict[str, dict[str, _Stake]]
) -> list[tuple[str, int]]:
    free = [
        (replica, limit - sum(stake.bound for stake in stakes[replica].values()))
        for replica, limit in limits.items()
    ]
    return sorted(free, key=lambda each: -each[1])


def _by_turn(activators: list[str], turn: int) -> list[str]:
    first = turn % len(activators) if activators else 0
    return activators[first:] + activators[:first]


def _fair(slots: int, revision: _Revision, activators: list[str]) -> dict[str, int]:
    """Return each one's slots: first what is wanted, evenly; then the rest, evenly."""
    goals = dict.fromkeys(activators, 0)
    order = _by_turn(activators, revision.turn)
    wants = {
        each: revision.claims[each].held + revision.claims[each].in_flight
        for each in order
    }
    while slots > 0:
        hungry = [each for each in order if goals[each] < wants[each]]
        if not hungry:
            break
        for each in hungry:
            more = max(1, slots // len(hungry))
            more = min(more, wants[each] - goals[each], slots)
            goals[each] += more
            slots -= more
    for place, each in enumerate(activators):
        # The odd ones stay with the first in a fixed order, so that spare slots rest.
        goals[each] += slots // len(activators)
        goals[each] += place < slots % len(activators)
    return goals
