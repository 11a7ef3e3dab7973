"""The settings of a revision: their names, ranges, and where each may be given.

A document field wins over an annotation (the component's over the service's), that
over the defaults of the configuration. docs/settings.md prints this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from autoscaler import quantity
from autoscaler.core.domain import Aggregation, Balance, Metric

KNATIVE = "autoscaling.knative.dev/"
OURS = "fromzero.dev/"
_FLAGS = {"true": True, "false": False, "on": True, "off": False}

Value = bool | int | float | str


class Kind(StrEnum):
    """How a setting is written."""

    WHOLE = "whole number"
    NUMBER = "number"
    SECONDS = "duration"
    WHOLE_SECONDS = "duration of whole seconds"
    BYTES = "size"
    FLAG = "true or false"
    WORD = "word"


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    """One setting."""

    name: str
    """Key in the configuration file; FROMZERO_NAME in the environment."""
    of: str
    """Which facts have it: scaling, gate or target; empty: see `component`."""
    field: str
    """Its field there."""
    kind: Kind
    low: float = 0.0
    high: float | None = None
    words: tuple[str, ...] = ()
    special: float | None = None
    """One more value that is allowed."""
    above: bool = False
    """*low* itself is not allowed."""
    annotation: str = ""
    document: str = ""
    """Field of a predictor, transformer or explainer."""
    scale: float = 1.0
    """What is written, times this, is what the field holds."""
    configured: bool = True
    """It has a default in the configuration."""

    @property
    def annotations(self) -> tuple[str, ...]:
        """Every spelling of its annotation: Knative reads camelCase too."""
        if not self.annotation:
            return ()
        prefix, _, last = self.annotation.rpartition("/")
        first, *rest = last.split("-")
        camel = first + "".join(each.capitalize() for each in rest)
        return tuple(dict.fromkeys((self.annotation, f"{prefix}/{camel}")))

    @property
    def rule(self) -> str:
        """What a value must be, in words."""
        match self.kind:
            case Kind.FLAG:
                return "must be true or false"
            case Kind.WORD:
                return f"must be one of {', '.join(self.words)}"
            case Kind.BYTES:
                return "must be a size such as 512Mi, more than nothing"
            case _:
                pass
        timed = self.kind in (Kind.SECONDS, Kind.WHOLE_SECONDS)
        unit = "s" if timed else ""
        what = f"a {self.kind} such as 30s" if timed else f"a {self.kind}"
        low = f"{self.low:g}{unit}"
        if self.high is not None:
            said = f"must be {what} in [{low}, {self.high:g}{unit}]"
        elif self.above:
            said = f"must be {what}, more than {low}"
        else:
            said = f"must be {what}, {low} or more"
        return said if self.special is None else f"{said}, or {self.special:g}"


def parse(knob: Knob, text: str) -> Value | None:
    """Return what *text* means for *knob*, in the unit it is written in; None: wrong.

    >>> parse(KNOBS["stable-window"], "1m"), parse(KNOBS["stable-window"], "5s")
    (60, None)
    """
    text = text.strip()
    value: float | None
    match knob.kind:
        case Kind.FLAG:
            return _FLAGS.get(text.lower())
        case Kind.WORD:
            # Knative accepts weightedExponential as well.
            same = {each.replace("-", "").lower(): each for each in knob.words}
            return same.get(text.replace("-", "").lower())
        case Kind.BYTES:
            value = quantity.whole_bytes(text)
        case Kind.SECONDS | Kind.WHOLE_SECONDS:
            value = quantity.seconds(text)
        case Kind.WHOLE | Kind.NUMBER:
            value = quantity.number(text)
    if value is None:
        return None
    whole = knob.kind in (Kind.WHOLE, Kind.WHOLE_SECONDS, Kind.BYTES)
    if whole and value != int(value):
        return None
    if not _fits(knob, value):
        return None
    return int(value) if whole else float(value)


def _fits(knob: Knob, value: float) -> bool:
    if knob.special is not None and value == knob.special:
        return True
    if value < knob.low or (knob.above and value == knob.low):
        return False
    return knob.high is None or value <= knob.high


def held(knob: Knob, value: Value) -> object:
    """Return what the field of *knob* holds when *value* was written."""
    if knob.kind is Kind.WORD:
        return _WORDS[knob.field](str(value))
    if knob.scale != 1.0 and not isinstance(value, str):
        return value * knob.scale
    return value


_WORDS = {"metric": Metric, "aggregation": Aggregation, "balance": Balance}


def _table(*knobs: Knob) -> Mapping[str, Knob]:
    return {each.name: each for each in knobs}


KNOBS = _table(
    Knob(
        name="metric",
        of="scaling",
        field="metric",
        kind=Kind.WORD,
        words=tuple(Metric),
        annotation=f"{KNATIVE}metric",
        document="scaleMetric",
    ),
    Knob(
        name="target",
        of="",
        field="target",
        kind=Kind.NUMBER,
        low=0.01,
        annotation=f"{KNATIVE}target",
        document="scaleTarget",
        configured=False,
    ),
    Knob(
        name="target-utilization-percentage",
        of="",
        field="target_utilization",
        kind=Kind.NUMBER,
        low=1,
        high=100,
        annotation=f"{KNATIVE}target-utilization-percentage",
        configured=False,
    ),
    Knob(
        name="concurrency-target",
        of="target",
        field="concurrency",
        kind=Kind.NUMBER,
        low=0.01,
    ),
    Knob(
        name="concurrency-target-percentage",
        of="target",
        field="concurrency_utilization",
        kind=Kind.NUMBER,
        low=1,
        high=100,
        scale=0.01,
    ),
    Knob(name="rps-target", of="target", field="rps", kind=Kind.NUMBER, low=0.01),
    Knob(
        name="rps-target-percentage",
        of="target",
        field="rps_utilization",
        kind=Kind.NUMBER,
        low=1,
        high=100,
        scale=0.01,
    ),
    Knob(
        name="usage-target",
        of="target",
        field="usage",
        kind=Kind.NUMBER,
        low=1,
        high=100,
    ),
    Knob(
        name="min-replicas",
        of="scaling",
        field="min_replicas",
        kind=Kind.WHOLE,
        annotation=f"{KNATIVE}min-scale",
        document="minReplicas",
    ),
    Knob(
        name="max-replicas",
        of="scaling",
        field="max_replicas",
        kind=Kind.WHOLE,
        annotation=f"{KNATIVE}max-scale",
        document="maxReplicas",
        configured=False,
    ),
    Knob(
        name="initial-scale",
        of="scaling",
        field="initial_scale",
        kind=Kind.WHOLE,
        annotation=f"{KNATIVE}initial-scale",
    ),
    Knob(
        name="activation-scale",
        of="scaling",
        field="activation_scale",
        kind=Kind.WHOLE,
        low=2,
        special=1,
        annotation=f"{KNATIVE}activation-scale",
    ),
    Knob(
        name="stable-window",
        of="scaling",
        field="stable_window_s",
        kind=Kind.WHOLE_SECONDS,
        low=6,
        high=3600,
        annotation=f"{KNATIVE}window",
    ),
    Knob(
        name="panic",
        of="scaling",
        field="panic",
        kind=Kind.FLAG,
        annotation=f"{OURS}panic",
    ),
    Knob(
        name="panic-window-percentage",
        of="scaling",
        field="panic_window_percentage",
        kind=Kind.NUMBER,
        low=1,
        high=100,
        annotation=f"{KNATIVE}panic-window-percentage",
    ),
    Knob(
        name="panic-threshold-percentage",
        of="scaling",
        field="panic_threshold",
        kind=Kind.NUMBER,
        low=110,
        high=1000,
        scale=0.01,
        annotation=f"{KNATIVE}panic-threshold-percentage",
    ),
    Knob(
        name="count-starting",
        of="scaling",
        field="count_starting",
        kind=Kind.FLAG,
        annotation=f"{OURS}count-starting",
    ),
    Knob(
        name="metric-aggregation-algorithm",
        of="scaling",
        field="aggregation",
        kind=Kind.WORD,
        words=tuple(Aggregation),
        annotation=f"{KNATIVE}metric-aggregation-algorithm",
    ),
    Knob(
        name="max-scale-up-rate",
        of="scaling",
        field="max_scale_up_rate",
        kind=Kind.NUMBER,
        low=1,
        above=True,
    ),
    Knob(
        name="max-scale-down-rate",
        of="scaling",
        field="max_scale_down_rate",
        kind=Kind.NUMBER,
        low=1,
        above=True,
    ),
    Knob(
        name="scale-down-delay",
        of="scaling",
        field="scale_down_delay_s",
        kind=Kind.WHOLE_SECONDS,
        high=3600,
        annotation=f"{KNATIVE}scale-down-delay",
    ),
    Knob(
        name="target-burst-capacity",
        of="scaling",
        field="target_burst_capacity",
        kind=Kind.NUMBER,
        special=-1,
        annotation=f"{KNATIVE}target-burst-capacity",
    ),
    Knob(
        name="enable-scale-to-zero",
        of="scaling",
        field="scale_to_zero",
        kind=Kind.FLAG,
    ),
    Knob(
        name="scale-to-zero-grace-period",
        of="scaling",
        field="grace_s",
        kind=Kind.SECONDS,
        high=3600,
    ),
    Knob(
        name="scale-to-zero-pod-retention-period",
        of="scaling",
        field="retention_s",
        kind=Kind.SECONDS,
        high=3600,
        annotation=f"{KNATIVE}scale-to-zero-pod-retention-period",
    ),
    Knob(
        name="progress-deadline",
        of="scaling",
        field="progress_deadline_s",
        kind=Kind.WHOLE_SECONDS,
        low=0,
        above=True,
        annotation="serving.knative.dev/progress-deadline",
    ),
    Knob(
        name="container-concurrency",
        of="gate",
        field="container_concurrency",
        kind=Kind.WHOLE,
        high=1000,
        document="containerConcurrency",
    ),
    Knob(
        name="timeout",
        of="gate",
        field="timeout_s",
        kind=Kind.SECONDS,
        document="timeout",
    ),
    Knob(
        name="hold-limit",
        of="gate",
        field="hold_limit_s",
        kind=Kind.SECONDS,
        low=0,
        above=True,
        annotation=f"{OURS}hold-limit",
    ),
    Knob(
        name="max-held",
        of="gate",
        field="max_held",
        kind=Kind.WHOLE,
        annotation=f"{OURS}max-held",
    ),
    Knob(
        name="max-held-bytes",
        of="gate",
        field="max_held_bytes",
        kind=Kind.BYTES,
        low=1,
        annotation=f"{OURS}max-held-bytes",
    ),
    Knob(
        name="balance",
        of="gate",
        field="balance",
        kind=Kind.WORD,
        words=tuple(Balance),
        annotation=f"{OURS}balance",
    ),
)
"""Ranges are Knative's (config-autoscaler and its annotations) where it has one."""
