"""What deciding costs: 10,000 revisions at a 2 s tick, awake and asleep.

    python -m benchmarks.decide [--revisions N] [--seconds S]

Awake: each revision has load, so that each second brings a sample of it and each tick a
decision. Asleep: nothing comes, and the Fleet says when it wants to be asked again.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from math import inf

from autoscaler.core.commands import Decided, Scale, Tell
from autoscaler.core.domain import (
    Budget,
    Replica,
    RevisionKey,
    RevisionSpec,
    ScalingSpec,
)
from autoscaler.core.fleet import Fleet
from autoscaler.core.messages import Ready, ReplicaLoad, Sample, View

REPORTER = "activator-1"
AWAKE_GOAL = 15.0
ASLEEP_GOAL = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a stretch of virtual time took of a core."""

    virtual_s: float
    hear_s: float
    decide_s: float
    decisions: int

    @property
    def share(self) -> float:
        """In %."""
        return 100 * (self.hear_s + self.decide_s) / self.virtual_s


class Driver:
    """The live loop without its sockets: it answers commands and counts time."""

    def __init__(self, revisions: int) -> None:
        self.fleet = Fleet(budget=Budget(), now=0.0)
        self.versions: dict[RevisionKey, View] = {}
        self.decisions = 0
        self.fleet.joined(REPORTER, 0.0)
        self.keys = [
            RevisionKey("production", f"model-{number:05d}")
            for number in range(revisions)
        ]
        spec = RevisionSpec(
            scaling=ScalingSpec(
                total_value=10.0, min_replicas=0, max_replicas=4, initial_scale=0
            )
        )
        for key in self.keys:
            self.fleet.configure(key, spec, 0.0)
        self.obey(0.0)

    def obey(self, now: float) -> None:
        """Carry out what the Fleet wants, at once: each start is ready."""
        while commands := self.fleet.take():
            for command in commands:
                match command:
                    case Scale(key=key, replicas=replicas):
                        self.fleet.observe(key, self._replicas(replicas), now)
                        for each in self._replicas(replicas):
                            ready = Ready(key=key, reporter=REPORTER, replica=each.id)
                            self.fleet.hear(ready, now)
                    case Tell(message=View() as view):
                        self.versions[view.key] = view
                    case Decided():
                        self.decisions += 1

    def sample(self, key: RevisionKey, load: float) -> Sample:
        """Report one second of a revision, as its activator would."""
        view = self.versions[key]
        loads = tuple(
            ReplicaLoad(replica=each.replica, in_flight=1, idle_s=0.0)
            for each in view.addresses
        )
        return Sample(
            key=key,
            reporter=REPORTER,
            span_s=1.0,
            concurrency=load,
            requests=3,
            held=0 if loads else 1,
            in_flight=len(loads),
            epoch=view.epoch,
            version=view.version,
            replicas=loads,
        )

    def run(self, seconds: int, load: float, begin: int) -> Cost:
        """Go through *seconds*; *load* 0: nobody reports, as nobody is awake."""
        hear_s = decide_s = 0.0
        decisions = self.decisions
        for second in range(begin + 1, begin + seconds + 1):
            now = float(second)
            if load:
                samples = [
                    self.sample(key, load + (number + second) % 3)
                    for number, key in enumerate(self.keys)
                ]
                begun = time.process_time()
                for sample in samples:
                    self.fleet.hear(sample, now)
                hear_s += time.process_time() - begun
            begun = time.process_time()
            while self.fleet.wake_at <= now:
                self.fleet.advance(now)
            self.obey(now)
            decide_s += time.process_time() - begun
        return Cost(
            virtual_s=seconds,
            hear_s=hear_s,
            decide_s=decide_s,
            decisions=self.decisions - decisions,
        )

    @staticmethod
    def _replicas(count: int) -> tuple[Replica, ...]:
        return tuple(
            Replica(id=f"r-{number}", host="127.0.0.1", port=9000 + number)
            for number in range(count)
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--revisions", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=60)
    given = parser.parse_args()

    asleep = Driver(given.revisions)
    rest = asleep.run(given.seconds, 0.0, 0)
    when = "never" if asleep.fleet.wake_at == inf else f"at {asleep.fleet.wake_at:g} s"

    awake = Driver(given.revisions)
    awake.run(20, 3.0, 0)  # all wake, and the windows have something in them
    work = awake.run(given.seconds, 3.0, 20)
    each_us = 1e6 * work.decide_s / max(1, work.decisions)
    samples = given.revisions * given.seconds

    print(f"{given.revisions:,} revisions, tick 2 s, {given.seconds} s of virtual time")
    print(
        f"all awake: {work.share:6.2f} % of a core (goal {AWAKE_GOAL:g} %), "
        f"{work.decisions:,} decisions at {each_us:.1f} us, "
        f"{samples:,} samples at {1e6 * work.hear_s / samples:.1f} us"
    )
    print(
        f"all asleep: {rest.share:5.3f} % of a core (goal {ASLEEP_GOAL:g} %), "
        f"{rest.decisions} decisions, to be asked again {when}"
    )
    met = work.share <= AWAKE_GOAL and rest.share <= ASLEEP_GOAL
    print(f"goals {'met' if met else 'MISSED'}")


if __name__ == "__main__":
    main()
