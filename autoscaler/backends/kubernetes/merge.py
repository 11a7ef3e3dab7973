"""The load of a revision that no activator has counted.

Load = held + max(running + waiting in the replicas, in flight through activators). The
Fleet adds up what its reporters say, and activators say held + in flight; so the
replicas' reporter says what they have more than activators have in flight.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterable
from math import inf

from autoscaler.backends.kubernetes.engines import Reading
from autoscaler.backends.kubernetes.track import FRESH_S, LONGEST_S, Track
from autoscaler.core.messages import ReplicaLoad, Sample, View

REPORTER = "scrape"

GATEWAY = (
    "behind an Ingress or HTTPRoute to the activators (the Gateway path) it may sleep"
)


class Merge:
    """One revision: what activators and replicas say of it, second by second."""

    __slots__ = ("_activators", "_balance", "_flying", "_told_at", "_tracks", "missing")

    def __init__(self) -> None:
        self._activators: dict[str, tuple[float, Sample]] = {}
        self._tracks: dict[str, Track] = {}
        self._flying: deque[tuple[float, float]] = deque()
        """Through activators, second by second."""
        self._balance: float | None = None
        """Requests that ended in replicas and did not come through activators."""
        self._told_at = -inf
        self.missing = inf
        """Since when the load is not known; inf: it is."""

    def heard(self, sample: Sample, now: float) -> None:
        """Take in what an activator says."""
        self._activators[sample.reporter] = now, sample
        if self._balance is not None:
            self._balance -= sample.requests

    def left(self, reporter: str) -> None:
        """Know that an activator is no more."""
        self._activators.pop(reporter, None)

    def read(self, replica: str, reading: Reading, now: float) -> None:
        """Take in what a replica's page says."""
        ended = self._tracks.setdefault(replica, Track()).read(reading, now)
        if self._balance is not None:
            self._balance += ended

    def failed(self, replica: str, why: str) -> None:
        """Know why a replica's page was not read."""
        self._tracks.setdefault(replica, Track()).why = why

    def keep(self, replicas: Collection[str]) -> None:
        """Forget all replicas but these."""
        for name in self._tracks.keys() - set(replicas):
            del self._tracks[name]

    def sample(
        self,
        view: View,
        ready: Iterable[str],
        now: float,
        leaving: Iterable[str] = (),
    ) -> Sample | None:
        """Return what is to be added for the second that ends now; None: not known.

        *ready* are the replicas that clients may reach. Where there is none, nothing
        is missing. Those *leaving* finish what they have: it counts while their pages
        say it, and is no more missed than they are.
        """
        tracks = {name: self._tracks.get(name) for name in ready}
        told = [said for at, said in self._activators.values() if now - at <= FRESH_S]
        flying = sum(max(0.0, said.concurrency - said.held) for said in told)
        self._flying.append((now, flying))
        while self._flying[0][0] < now - LONGEST_S:
            self._flying.popleft()
        known = [each for each in tracks.values() if each and each.fresh(now)]
        if len(known) < len(tracks):
            self.missing = min(self.missing, now)
            self._balance = None
            return None
        self.missing = inf
        going = (self._tracks.get(name) for name in leaving)
        finishing = [each for each in going if each and each.fresh(now)]
        loads = [each.load(now) for each in (*known, *finishing)]
        window_s = max((over_s for _, over_s in loads), default=0.0)
        load = max(0.0, sum(each for each, _ in loads) - self._mean(window_s, now))
        span_s = now - self._told_at
        self._told_at = now
        return Sample(
            key=view.key,
            reporter=REPORTER,
            span_s=span_s if 0.0 < span_s <= 1.5 else 1.0,
            concurrency=load,
            requests=self._unseen(told),
            held=0,
            in_flight=math.ceil(load),
            epoch=view.epoch,
            version=view.version,
            replicas=_shares(view, dict(zip(tracks, known, strict=True)), told, now),
        )

    def why_missing(self, ready: Iterable[str], now: float) -> str:
        """Return why the load is not known, of one replica; empty: it is known."""
        for name in ready:
            track = self._tracks.get(name)
            if track is None or not track.fresh(now):
                return f"{name}: {(track and track.why) or 'not read yet'}"
        return ""

    def keeps(self, timeout_s: float, finishes: bool, now: float) -> str:
        """Return why it must not go to zero by what its replicas say; empty: it may.

        Of a request that began since then a count of what has ended says nothing, so
        a pod must be able to finish it: *finishes*.
        """
        counts = [
            track
            for track in self._tracks.values()
            if track.reading is not None and track.reading.busy is None
        ]
        if not counts:
            return ""
        engine = counts[0].reading.engine if counts[0].reading else ""
        says = f"{engine} counts a request only when it has ended"
        if timeout_s <= 0:
            return f"{says}, and no timeout says how long one may take; {GATEWAY}"
        if not finishes:
            return (
                f"{says}, and its pods do not finish what they have when they are "
                f"stopped: that needs lifecycle.preStop and a "
                f"terminationGracePeriodSeconds of at least the timeout, "
                f"{timeout_s:g} s; {GATEWAY}"
            )
        quiet_s = min(track.quiet_s(now) for track in counts)
        if quiet_s < timeout_s:
            return (
                f"{says}: none has for {quiet_s:.0f} s, which must be the timeout, "
                f"{timeout_s:g} s"
            )
        return ""

    def _mean(self, window_s: float, now: float) -> float:
        """Return the mean of what is in flight through activators; of the last second
        if *window_s* is shorter."""
        recent = [each for at, each in self._flying if at > now - window_s]
        recent = recent or [self._flying[-1][1]]
        return sum(recent) / len(recent)

    def _unseen(self, told: Iterable[Sample]) -> int:
        """Return how many requests ended that came through no activator.

        One that came through is counted when it comes and again when it ends: until
        then it is in flight or held, or came in this second, and the balance is never
        further below zero.
        """
        under = -float(sum(said.in_flight + said.held + said.requests for said in told))
        if self._balance is None:
            self._balance = under
        unseen = max(0, math.floor(self._balance))
        self._balance = max(under, self._balance - unseen)
        return unseen


def _shares(
    view: View, tracks: dict[str, Track], told: list[Sample], now: float
) -> tuple[ReplicaLoad, ...]:
    """Return what each replica has that no activator knows of.

    One that drains beside others is said to have nothing: clients reach it until it
    has gone, so waiting would have no end, and it finishes what it has when it is
    stopped. If all drain there is hardly anything, and that is waited for.
    """
    draining = {each.replica for each in view.addresses if each.draining}
    some_stay = any(not each.draining for each in view.addresses)
    flying: dict[str, int] = {}
    for said in told:
        for each in said.replicas:
            flying[each.replica] = flying.get(each.replica, 0) + each.in_flight
    shares = []
    for name, track in tracks.items():
        load = max(0.0, track.load(now)[0] - flying.get(name, 0))
        if name in draining and some_stay:
            load = 0.0
        idle_s = 0.0 if load else track.quiet_s(now)
        shares.append(
            ReplicaLoad(replica=name, in_flight=math.ceil(load), idle_s=idle_s)
        )
    return tuple(shares)
