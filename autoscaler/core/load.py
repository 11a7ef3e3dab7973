"""The load of one revision, in the two windows that a decision looks at."""

from __future__ import annotations

from autoscaler.core.domain import ScalingSpec
from autoscaler.core.window import Window


class Load:
    """A stable and a panic window, filled together.

    >>> load = Load(ScalingSpec(stable_window_s=60))
    >>> load.record(4.0, seconds=3.0, now=10.5)
    >>> load.stable.average(now=10.9), list(load.panic.seconds())[-3:]
    (4.0, [(8, 4.0), (9, 4.0), (10, 4.0)])
    """

    __slots__ = ("panic", "stable")

    def __init__(self, spec: ScalingSpec) -> None:
        self.stable = Window(spec.stable_window_s, spec.aggregation)
        self.panic = Window(spec.panic_window_s, spec.aggregation)

    def record(self, load: float, seconds: float, now: float) -> None:
        """Count a mean *load* over the *seconds* that end now."""
        if seconds < 1.5:
            # A report each second, more or less: whole in the second in which it came.
            self.stable.record(load * seconds, now)
            self.panic.record(load * seconds, now)
            return
        self.stable.span(load, seconds, now)
        self.panic.span(load, seconds, now)

    def configure(self, before: ScalingSpec, spec: ScalingSpec, now: float) -> bool:
        """Take new settings and keep what was counted; False: it is in another unit."""
        if spec.metric is not before.metric:
            self.forget(spec)
            return False
        if spec.aggregation is not before.aggregation:
            kept = self.stable, self.panic
            self.forget(spec)
            for old, new in zip(kept, (self.stable, self.panic), strict=True):
                for second, load in old.seconds():
                    new.record(load, second)
        else:
            self.stable.resize(spec.stable_window_s, now)
            self.panic.resize(spec.panic_window_s, now)
        return True

    def forget(self, spec: ScalingSpec) -> None:
        """Count from now on only."""
        self.stable = Window(spec.stable_window_s, spec.aggregation)
        self.panic = Window(spec.panic_window_s, spec.aggregation)
