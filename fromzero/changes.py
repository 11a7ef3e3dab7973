"""What becomes of each revision: few facts for people, out of many events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from autoscaler.clock import Clock, monotonic
from autoscaler.core.commands import Scale, Status
from autoscaler.core.domain import Replica, RevisionKey
from autoscaler.core.messages import Ready, Wake
from autoscaler.events import Event, Observed


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The first requests of a sleep wait."""

    key: RevisionKey
    requests: int

    def __str__(self) -> str:
        return f"held revision={self.key} requests={self.requests}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """Another number of replicas is wanted."""

    key: RevisionKey
    before: int
    replicas: int
    reason: str

    def __str__(self) -> str:
        return (
            f"scale revision={self.key} from={self.before} to={self.replicas} "
            f'reason="{self.reason}"'
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Serves:
    """A replica is ready."""

    key: RevisionKey
    replica: str
    after_s: float
    """Since it was ordered."""

    def __str__(self) -> str:
        return (
            f"ready revision={self.key} replica={self.replica} "
            f"after_s={self.after_s:.2f}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty:
    """The last replica has gone."""

    key: RevisionKey
    state: str
    """asleep, or what keeps it from serving: failing, waiting."""
    reason: str

    def __str__(self) -> str:
        return f'{self.state} revision={self.key} reason="{self.reason}"'


Change = Held | Scaled | Serves | Empty


@dataclass(slots=True)
class _Seen:
    """What was last said of a revision."""

    wanted: int = 0
    since: dict[str, float] = field(default_factory=dict)
    """When each replica that exists was first seen."""
    ready: set[str] = field(default_factory=set)
    held: bool = False


class Changes:
    """Follow events; tell each change once."""

    def __init__(
        self,
        status: Callable[[RevisionKey], Status],
        tell: Callable[[Change], None],
        clock: Clock = monotonic,
    ) -> None:
        self._status = status
        self._tell = tell
        self._clock = clock
        self._seen: dict[RevisionKey, _Seen] = {}

    def saw(self, event: Event) -> None:
        """Take an event, after the Fleet has."""
        for change in self._follow(event):
            self._tell(change)

    def _follow(self, event: Event) -> Iterator[Change]:
        match event:
            case Wake(key=key, held=held):
                seen = self._of(key)
                if not seen.held and held:
                    seen.held = True
                    yield Held(key=key, requests=held)
            case Scale(key=key, replicas=replicas, reason=reason):
                seen = self._of(key)
                before, seen.wanted = seen.wanted, replicas
                if before != replicas:
                    yield Scaled(
                        key=key, before=before, replicas=replicas, reason=reason
                    )
            case Ready(key=key, replica=replica):
                yield from self._serves(key, replica)
            case Observed(key=key, replicas=replicas):
                yield from self._are(key, replicas)
            case _:
                pass

    def _are(self, key: RevisionKey, replicas: tuple[Replica, ...]) -> Iterator[Change]:
        seen, now = self._of(key), self._clock()
        for gone in seen.since.keys() - {each.id for each in replicas}:
            del seen.since[gone]
            seen.ready.discard(gone)
        for each in replicas:
            seen.since.setdefault(each.id, now)
            if each.ready:
                yield from self._serves(key, each.id)
        if not replicas:
            yield from self._empty(key)

    def _serves(self, key: RevisionKey, replica: str) -> Iterator[Change]:
        seen = self._of(key)
        if replica in seen.ready or replica not in seen.since:
            return
        seen.ready.add(replica)
        seen.held = False
        after_s = self._clock() - seen.since[replica]
        yield Serves(key=key, replica=replica, after_s=after_s)

    def _empty(self, key: RevisionKey) -> Iterator[Change]:
        try:
            status = self._status(key)
        except KeyError:  # It was removed, and is gone for good.
            self._seen.pop(key, None)
            return
        # Requests that came while it stopped are held still: the next sleep's are new.
        self._of(key).held = status.held > 0
        yield Empty(key=key, state=status.state, reason=status.reason)

    def _of(self, key: RevisionKey) -> _Seen:
        return self._seen.setdefault(key, _Seen())
