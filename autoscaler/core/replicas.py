"""The replicas of one revision: commanded, seen, ready, draining and leaving."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from autoscaler.core.domain import Replica
from autoscaler.core.messages import Address, ReplicaLoad
from autoscaler.core.reports import UNUSED, Reports


class Member:
    """One replica that a backend has shown."""

    __slots__ = (
        "address",
        "again",
        "condemned",
        "drained_by",
        "draining",
        "host",
        "id",
        "port",
        "ports",
        "ready",
        "said_by",
        "served",
        "shown_ready",
        "stopping",
        "surplus",
        "version",
    )

    def __init__(self, name: str) -> None:
        self.id = name
        self.host = ""
        self.port = 0
        self.ports: tuple[tuple[str, int], ...] = ()
        self.shown_ready = False
        """The backend's word."""
        self.said_by: dict[str, None] = {}
        """Reporters whose own probe succeeded; "" stands for those that have left."""
        self.ready = False
        """Either of the two."""
        self.served = False
        """It was ready once: its end is no failed start."""
        self.draining = False
        self.version: int | None = None
        """The view that told of the drain; None: it is about to be told."""
        self.drained_by: dict[str, None] = {}
        self.again = False
        """An earlier drain was cancelled: a `Drained` may be a late one of that."""
        self.condemned = False
        """Its start took too long: this drain is not cancelled."""
        self.stopping = False
        """Told to stop; still there."""
        self.surplus = False
        """More than were commanded: the backend is stopping it."""
        self.address: Address | None = None
        """Where it was said to be, the last time."""

    def drain(self, *, condemned: bool = False) -> None:
        """Give it nothing new."""
        self.draining = True
        self.version = None
        self.drained_by = {}
        self.condemned = condemned

    def resume(self) -> None:
        """Give it requests again."""
        self.draining = False
        self.again = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Deaths:
    """Replicas that nobody told to stop and that are gone."""

    ready: int
    starting: int


class Replicas:
    """Replicas by name, in the order in which they came."""

    __slots__ = ("_dead", "_members", "draining", "leaving", "ready", "target")

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self._dead: dict[str, None] = {}
        """Reported as failed, and maybe still in a picture that is older."""
        self.target = 0
        """How many a backend was told to have; draining ones are among them."""
        self.ready = 0
        """Those that serve: ready and not draining."""
        self.draining = 0
        self.leaving = 0
        """Told to stop, or never asked for, and still there."""

    @property
    def active(self) -> int:
        """How many there are to be once those that drain are gone."""
        return self.target - self.draining

    @property
    def room(self) -> int:
        """How many take room: until it is gone, also what was told to stop."""
        return self.target + self.leaving

    def ours(self) -> list[Member]:
        """Return those that were commanded and not told to stop."""
        return [m for m in self._members.values() if not (m.stopping or m.surplus)]

    def get(self, name: str) -> Member | None:
        """Return the replica of that name, unless it is on its way out."""
        member = self._members.get(name)
        return None if member is None or member.stopping else member

    def see(self, picture: tuple[Replica, ...], *, ours: bool = True) -> Deaths:
        """Take in a backend's complete picture; say who died.

        Not *ours*: somebody else commands, so what is there is what there is to be.
        """
        shown = {replica.id: replica for replica in picture}
        self._dead = {name: None for name in self._dead if name in shown}
        come = sum(n not in self._members and n not in self._dead for n in shown)
        unasked = come - max(0, self.target - len(self.ours()))
        ready = starting = 0
        for name in [name for name in self._members if name not in shown]:
            member = self._members.pop(name)
            if member.stopping or member.surplus:
                continue
            if unasked > 0:
                # Another is in its place already, and nobody had to ask for it.
                unasked -= 1
                continue
            self.target = max(0, self.target - 1)
            ready += member.served
            starting += not (member.served or member.draining)
        for name, replica in shown.items():
            if name in self._dead:
                continue
            there = self._members.get(name)
            if there is None:
                there = self._members[name] = Member(name)
            there.host, there.port = replica.host, replica.port
            there.ports = replica.ports
            there.shown_ready = replica.ready
        if picture and not ours:
            self.target = sum(not member.stopping for member in self._members.values())
        self.count()
        return Deaths(ready=ready, starting=starting)

    def adopt(self, picture: tuple[Replica, ...]) -> None:
        """Take what a backend has for what it was told to have."""
        self.target = len(picture)
        self.see(picture)

    def died(self, name: str) -> bool:
        """Know that a start ended; False: it was told to go, or never asked for."""
        if name in self._dead:
            return False
        member = self._members.pop(name, None)
        if name:
            self._dead[name] = None
        leaving = member is not None and (member.stopping or member.surplus)
        if leaving or not self.target:
            self.count()
            return False
        self.target -= 1
        self.count()
        return member is None or not member.draining

    def say(self, name: str, reporter: str, *, ready: bool) -> bool:
        """Take in a probe's result; say whether the replica has just become ready."""
        member = self._members.get(name)
        if member is None:
            return False
        before = member.ready
        if ready:
            member.said_by[reporter] = None
        else:
            member.said_by.pop(reporter, None)
            member.said_by.pop("", None)
        self.count()
        return member.ready and not before

    def probed(self, reporter: str, loads: Iterable[ReplicaLoad]) -> int:
        """Take in what a sample says of all; return how many more are ready by it."""
        changed = False
        for load in loads:
            member = self._members.get(load.replica)
            if member is None or load.ready is None:
                continue
            if load.ready != (reporter in member.said_by):
                changed = True
                if load.ready:
                    member.said_by[reporter] = None
                else:
                    del member.said_by[reporter]
        if not changed:
            return 0
        before = self.ready
        self.count()
        return self.ready - before

    def forget(self, reporter: str) -> None:
        """Keep what a reporter that left has said, and wait for it no more."""
        for member in self._members.values():
            if reporter in member.said_by:
                del member.said_by[reporter]
                member.said_by[""] = None

    def stop(self, names: Iterable[str], target: int) -> None:
        """Have only *target*, those in *names* being told to go."""
        for name in names:
            self._members[name].stopping = True
        self.target = target
        self.count()

    def count(self) -> None:
        """Count anew, after a change of a member or of `target`."""
        ours = self.ready = self.draining = self.leaving = 0
        for member in self._members.values():
            member.ready = member.shown_ready or bool(member.said_by)
            member.served |= member.ready
            if not member.stopping:
                ours += 1
            member.surplus = not member.stopping and ours > self.target
            if member.stopping or member.surplus:
                self.leaving += 1
            elif member.draining:
                self.draining += 1
            else:
                self.ready += member.ready

    def resume(self, number: int) -> int:
        """Keep up to *number* of those that drain; return how many still lack."""
        for member in self.ours():
            if number and member.draining and not member.condemned:
                member.resume()
                number -= 1
        self.count()
        return number

    def start(self, number: int) -> None:
        """Have *number* more."""
        self.target += number
        self.count()

    def shrink(self, number: int, reports: Reports) -> bool:
        """Have *number* fewer: drain them; True: a backend must be told already.

        That is so for those that no backend has shown yet: they serve nobody.
        """
        unseen = min(number, max(0, self.target - len(self.ours())))
        self.target -= unseen
        for member in self.victims(number - unseen, reports):
            member.drain()
        self.count()
        return unseen > 0

    def condemn(self) -> bool:
        """Give up those that are not ready yet; say whether a backend must be told."""
        number = self.active - self.ready
        unseen = min(number, max(0, self.target - len(self.ours())))
        self.target -= unseen
        for member in self.ours():
            if not (member.ready or member.draining):
                member.drain(condemned=True)
        self.count()
        return unseen > 0

    def drained(self, reporters: Iterable[str], reports: Reports) -> list[str]:
        """Return the names of those that drain and have nothing of anybody's."""
        names = list(reporters)
        return [
            member.id
            for member in self.ours()
            if member.draining
            and (
                # Nobody was ever told where it is.
                not member.port or all(_done(member, each, reports) for each in names)
            )
        ]

    def emptied(self, name: str, reporter: str) -> None:
        """Know that a reporter has nothing at a replica that drains."""
        member = self._members.get(name)
        if member is not None and member.version is not None and not member.again:
            member.drained_by[reporter] = None

    def told(self, version: int) -> None:
        """Know that view *version* tells of all drains there are."""
        if self.draining:
            for member in self.ours():
                if member.draining and member.version is None:
                    member.version = version

    def victims(self, number: int, reports: Reports) -> list[Member]:
        """Return whom to give up: those that serve nobody yet, then the idlest."""
        if number <= 0:
            return []
        uses = reports.uses()
        ranked: list[tuple[bool, int, float, int, Member]] = []
        for place, member in enumerate(self.ours()):
            if not member.draining:
                in_flight, used = uses.get(member.id, UNUSED)
                ranked.append((member.ready, in_flight, used, -place, member))
        ranked.sort(key=lambda each: each[:4])
        return [each[4] for each in ranked[:number]]

    def addresses(self, slots: int) -> tuple[Address, ...]:
        """Return where requests can go; starting ones too, which activators probe."""
        return tuple([_address(m, slots) for m in self.ours() if m.port])


def _address(member: Member, slots: int) -> Address:
    """Return where *member* is: the same fact again while nothing of it changes."""
    address = member.address
    if (
        address is None
        or address.draining is not member.draining
        or address.slots != slots
        or address.port != member.port
        or address.host != member.host
        or address.ports != member.ports
    ):
        address = member.address = Address(
            replica=member.id,
            host=member.host,
            port=member.port,
            slots=slots,
            draining=member.draining,
            ports=member.ports,
        )
    return address


def _done(member: Member, reporter: str, reports: Reports) -> bool:
    version = member.version
    if version is None:
        return False
    return reporter in member.drained_by or reports.empty(reporter, member.id, version)
