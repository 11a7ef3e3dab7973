"""An activator reduced to its slots: it obeys its newest view, and no more than that."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from autoscaler.core.domain import RevisionKey
from autoscaler.core.messages import ReplicaLoad, Sample, View

KEY = RevisionKey("ns", "iris")


def sample(name: str, version: int, held: int = 0, **in_flight: int) -> Sample:
    return Sample(
        key=KEY,
        reporter=name,
        span_s=1.0,
        concurrency=0.0,
        requests=0,
        held=held,
        in_flight=sum(in_flight.values()),
        epoch=1,
        version=version,
        replicas=tuple(
            ReplicaLoad(replica=replica, in_flight=count, idle_s=0.0)
            for replica, count in in_flight.items()
        ),
    )


@dataclass
class Obeying:
    """Send held requests wherever there are slots."""

    name: str
    version: int = 0
    slots: dict[str, int] = field(default_factory=dict)
    running: dict[str, int] = field(default_factory=dict)
    held: int = 0

    def apply(self, view: View) -> None:
        if view.version >= self.version:
            self.version = view.version
            self.slots = {
                each.replica: min(each.slots, self.slots.get(each.replica, 0))
                if each.kept
                else each.slots
                for each in view.addresses
            }

    def dispatch(self) -> None:
        for replica, limit in self.slots.items():
            while self.held and self.running.get(replica, 0) < limit:
                self.running[replica] = self.running.get(replica, 0) + 1
                self.held -= 1

    def finish(self, replica: str) -> None:
        if self.running.get(replica, 0):
            self.running[replica] -= 1

    def report(self) -> Sample:
        names = self.slots | self.running
        said = sample(
            self.name,
            self.version,
            self.held,
            **{name: self.running.get(name, 0) for name in names},
        )
        loads = (replace(e, slots=self.slots.get(e.replica)) for e in said.replicas)
        return replace(said, replicas=tuple(loads))
