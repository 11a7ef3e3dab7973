"""The ports of activators: one of its own for each port of each revision's Service.

A client may come by what it heard of long ago, so a port that would soon mean another
revision would answer with another's model. Our slices are the record.
"""

from __future__ import annotations

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
        reserved: Collection[int] = (),
        rests_s: float = RESTS_S,
    ) -> None:
        self._first = first
        self._size = last - first + 1
        self._reserved = frozenset(reserved)
        """Ports at which activators serve something else."""
        self._rests_s = rests_s
        self._numbers: dict[RevisionKey, dict[str, int]] = {}
        self._owners: dict[int, tuple[RevisionKey, str]] = {}
        self._rests: dict[int, tuple[float, tuple[RevisionKey, str]]] = {}
        """Freed ports: until when, and whose they were."""

    def learn(self, key: RevisionKey, slices: Iterable[Slice], now: float) -> None:
        """Take what our *slices* of the revision's Service say for given.

        All revisions' before the first is given one, and again as they change while
        another autoscaler gives. Of two that have one port, the first keeps it.
        """
        for slice_ in slices:
            for name, number in slice_.ports if is_ours(slice_) else ():
                if number not in self._owners and number not in self._reserved:
                    self._drop(key, name, now)
                    self._take(key, name, number)

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
        wanted = {door.name: door for door in doors if door.protocol == "TCP"}
        for name in [name for name in self._numbers.get(key, ()) if name not in wanted]:
            self._drop(key, name, now)
        entrances = []
        for door in wanted.values():
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
        for name in tuple(self._numbers.get(key, ())):
            self._drop(key, name, now)

    def _at(
        self, key: RevisionKey, door: Door, number: int, now: float
    ) -> int | Refused:
        who = f"port {door.name or door.port} of a headless Service"
        if not number:
            return Refused(reason=f"{who} aims at {door.target}: no container has it")
        if self._numbers.get(key, {}).get(door.name) == number:
            return number
        if number in self._reserved:
            return Refused(reason=f"{who} needs {number}, which is an activator's own")
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
        last = self._first + self._size - 1
        reason = f"all activator ports from {self._first} to {last} are taken"
        return Refused(reason=reason, again_at=again_at)

    def _resting(
        self, number: int, owner: tuple[RevisionKey, str], now: float
    ) -> float:
        """Return until when nobody but *owner* may have a free port."""
        until, whose = self._rests.get(number, (-inf, owner))
        return -inf if whose == owner else until

    def _take(self, key: RevisionKey, name: str, number: int) -> None:
        self._rests.pop(number, None)
        self._owners[number] = (key, name)
        self._numbers.setdefault(key, {})[name] = number

    def _drop(self, key: RevisionKey, name: str, now: float) -> None:
        numbers = self._numbers.get(key)
        if numbers is None or name not in numbers:
            return
        number = numbers.pop(name)
        if not numbers:
            del self._numbers[key]
        del self._owners[number]
        self._rests[number] = (now + self._rests_s, (key, name))
