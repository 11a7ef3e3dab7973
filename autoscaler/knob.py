"""One setting of a revision: its range, how it is read, and what that means."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from autoscaler import quantity
from autoscaler.core.affinity import RULE, affinity
from autoscaler.core.domain import Aggregation, Balance, Metric

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
    BALANCE = "way to balance"


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
    percent: bool = False
    """Written in %, held as a share."""
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
            case Kind.BALANCE:
                return f"must be one of {', '.join(Balance)}, {RULE}"
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

    >>> window = Knob(
    ...     name="stable-window",
    ...     of="scaling",
    ...     field="stable_window_s",
    ...     kind=Kind.WHOLE_SECONDS,
    ...     low=6,
    ...     high=3600,
    ... )
    >>> parse(window, "1m"), parse(window, "5s")
    (60, None)
    """
    text = text.strip()
    value: float | None
    match knob.kind:
        case Kind.FLAG:
            return _FLAGS.get(text.lower())
        case Kind.WORD:
            return _word(knob.words, text)
        case Kind.BALANCE:
            return text if affinity(text) else _word(tuple(Balance), text)
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


def _word(words: tuple[str, ...], text: str) -> str | None:
    """Return which of *words* that is; Knative accepts weightedExponential as well."""
    same = {each.replace("-", "").lower(): str(each) for each in words}
    return same.get(text.replace("-", "").lower())


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
    if knob.percent and not isinstance(value, str):
        return value / 100
    return value


_WORDS = {"metric": Metric, "aggregation": Aggregation}
