"""What the admin API tells of: one revision, which does as it is told."""

from __future__ import annotations

from dataclasses import replace

from autoscaler.core.commands import Order, Status
from autoscaler.core.domain import RevisionKey, StartFailure
from autoscaler.events import Moment

IRIS = RevisionKey("production", "iris-predictor-00001")
ASLEEP = Status(
    key=IRIS, state="asleep", min=0, max=1, desired=0, ready=0, starting=0,
    draining=0, in_flight=0, held=0, mode="stable", reason="idle for 60 s",
)  # fmt: skip


class One:
    """The loop of a machine with one revision."""

    def __init__(self) -> None:
        self.its = ASLEEP
        self._gone = False

    def go(self) -> str:
        """Have no revision from now on."""
        self._gone = True
        return ""

    def statuses(self) -> tuple[Status, ...]:
        return () if self._gone else (self.its,)

    def status(self, key: RevisionKey) -> Status:
        if key != IRIS or self._gone:
            raise KeyError(key)
        return self.its

    def moments(self, key: RevisionKey) -> tuple[Moment, ...]:
        failure = StartFailure(reason="exit status 3", final=True)
        return (Moment(at=5.0, what=failure),)

    def order(self, key: RevisionKey, order: Order) -> None:
        self.its = replace(self.its, state="starting", reason=f"{order.value} asked")
