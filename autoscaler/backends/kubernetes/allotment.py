"""The ports of activators: one of its own for each port of each revision's Service.

A client may come by what it heard of long ago, so a port that would soon mean another
revision would answer with another's model. Our slices are the record: who follows, or
has just begun, has what they say, and only who leads gives what they do not say yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import inf
from zlib import crc32

from autoscaler.backends.kubernetes.facts import Container, Slice
from autoscaler.backends.kubernetes.managed import Door
from autoscaler.backends.kubernetes.ports import resolve
from autoscaler.backends.kubernetes.slices import is_ours
from autoscaler.core.domain import Entrance, RevisionKey

FIRST = 20000
LAST = 29999
OWN = (9090, 30080)
"""Ports at which activators serve something else, by our manifests."""
SHARE = 5_000
"""Ports of one namespace, at most, so that no one can have them all."""
RESTS_S = 300.0
"""A freed port is nobody's for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Why activators cannot stand in for a revision."""

    reason: str
    again_at: float = inf
    """It may be given then; inf: only after something else has changed."""


class Allotment:
    """Keep a port for as long as its revision has that port, across restarts."""

    def __init__(
        self,
        *,
        first: int = FIRST,
        last: int = LAST,
        reserved: Collection[int] = OWN,
        share: int = SHARE,
        rests_s: float = RESTS_S,
    ) -> None:
        self._first = first
        self._size = last - first + 1
        self._reserved = frozenset(reserved)
        """Ports at which activators serve something else."""
        self._share = share
        self._rests_s = rests_s
        self._numbers: dict[RevisionKey, dict[str, int]] = {}
        self._owners: dict[int, tuple[RevisionKey, str]] = {}
        self._rests: dict[int, tuple[float, tuple[RevisionKey, str]]] = {}
        """Freed ports: until when, and whose they were."""
        self._recorded: set[int] = set()
        """Ports that a slice of ours has shown; others were given by us alone."""
        self._asked: set[RevisionKey] = set()
        """Who is managed, so that its ports stay without a slice."""
        self._shares: Counter[str] = Counter()
        """Ports that each namespace has."""

    def learn(
        self,
        key: RevisionKey,
        slices: Iterable[Slice],
        now: float,
        *,
        leads: bool = False,
    ) -> None:
        """Take what our *slices*, all there are of a Service, say for given.

        Who follows has what the other gave, whatever it would have given itself; who
        *leads* knows better, but for what it has never heard of. Of two that have one
        port on record, the first keeps it.
        """
        ours = [port for each in slices if is_ours(each) for port in each.ports]
        if key not in self._asked:
            self._keep(key, [name for name, _ in ours], now)
        if leads and key in self._numbers:
            return
        for name, number in ours:
            owner = self._owners.get(number)
            if owner == (key, name):
                self._recorded.add(number)
                continue
            counts = owner is None or not (leads or number in self._recorded)
            if counts and number not in self._reserved and not self._full(key, name):
                self._drop(*(owner or (key, name)), now)
                self._drop(key, name, now)
                self._take(key, name, number)
                self._recorded.add(number)

    def allot(
        self,
        key: RevisionKey,
        doors: tuple[Door, ...],
        containers: tuple[Container, ...],
        now: float,
    ) -> tuple[Entrance, ...] | Refused:
        """Return a port for each TCP port in *doors*; ports of others are freed.

        Clients of a headless Service go to the target port of an address, which
        *containers* may name.
        """
        self._asked.add(key)
        wanted = {door.name: door for door in doors if door.protocol == "TCP"}
        self._keep(key, wanted, now)
        entrances = []
        for door in wanted.values():
            if self._full(key, door.name):
                reason = f"namespace {key.namespace} has {self._share} activator ports"
                return Refused(reason=f"{reason}, must be at most so many")
            if door.headless:
                number = self._at(key, door, resolve(containers, door.target), now)
            else:
                number = self._any(key, door, now)
            if isinstance(number, Refused):
                return number
            entrances.append(Entrance(port=number, name=door.name, tunnel=door.tunnel))
        return tuple(entrances)

    def free(self, key: RevisionKey, now: float) -> None:
        """Have the ports of *key* back: it is no more."""
        self._asked.discard(key)
        self._keep(key, (), now)

    def _at(
        self, key: RevisionKey, door: Door, number: int, now: float
    ) -> int | Refused:
        who = f"port {door.name or door.port} of a headless Service"
        if not number:
            return Refused(reason=f"{who} aims at {door.target}: no container has it")
        if number in self._reserved:
            return Refused(reason=f"{who} needs {number}, which is an activator's own")
        if 0 <= number - self._first < self._size:
            reason = (
                f"{who} needs {number}, must not be in {self._range}, which are given"
            )
            return Refused(reason=f"{reason} to Services that are not headless")
        if self._numbers.get(key, {}).get(door.name) == number:
            return number
        if (owner := self._owners.get(number)) is not None:
            whose = f"that of port {owner[1] or number} of {owner[0]}"
            return Refused(reason=f"{who} needs {number}, which is {whose}")
        if (until := self._resting(number, (key, door.name), now)) > now:
            of = self._rests[number][1][0]
            reason = f"{who} needs {number}, which was {of}'s a moment ago"
            return Refused(reason=reason, again_at=until)
        self._drop(key, door.name, now)
        self._take(key, door.name, number)
        return number

    def _any(self, key: RevisionKey, door: Door, now: float) -> int | Refused:
        held = self._numbers.get(key, {}).get(door.name, 0)
        if 0 <= held - self._first < self._size:
            return held
        # An autoscaler that has lost everything would give the same again.
        begin = crc32(f"{key}/{door.name}".encode())
        again_at = inf
        for step in range(self._size):
            number = self._first + (begin + step) % self._size
            if number in self._owners or number in self._reserved:
                continue
            until = self._resting(number, (key, door.name), now)
            if until <= now:
                self._drop(key, door.name, now)
                self._take(key, door.name, number)
                return number
            again_at = min(again_at, until)
        reason = f"all activator ports from {self._range} are taken"
        return Refused(reason=reason, again_at=again_at)

    @property
    def _range(self) -> str:
        return f"{self._first} to {self._first + self._size - 1}"

    def _resting(
        self, number: int, owner: tuple[RevisionKey, str], now: float
    ) -> float:
        """Return until when nobody but *owner* may have a free port."""
        until, whose = self._rests.get(number, (-inf, owner))
        return -inf if whose == owner else until

    def _full(self, key: RevisionKey, name: str) -> bool:
        """Say whether a namespace has its share, and *name* would be one more."""
        full = self._shares[key.namespace] >= self._share
        return full and name not in self._numbers.get(key, ())

    def _keep(self, key: RevisionKey, names: Collection[str], now: float) -> None:
        """Drop the ports of *key* but those of *names*."""
        for name in [name for name in self._numbers.get(key, ()) if name not in names]:
            self._drop(key, name, now)

    def _take(self, key: RevisionKey, name: str, number: int) -> None:
        self._rests.pop(number, None)
        self._owners[number] = (key, name)
        self._numbers.setdefault(key, {})[name] = number
        self._shares[key.namespace] += 1

    def _drop(self, key: RevisionKey, name: str, now: float) -> None:
        numbers = self._numbers.get(key)
        if numbers is None or name not in numbers:
            return
        number = numbers.pop(name)
        if not numbers:
            del self._numbers[key]
        del self._owners[number]
        self._recorded.discard(number)
        self._shares[key.namespace] -= 1
        if not self._shares[key.namespace]:
            del self._shares[key.namespace]
        self._rests[number] = (now + self._rests_s, (key, name))
