"""What one set of settings did on a trace: what reports show and a search compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from simulations.bands import Spread
from simulations.report import Figures, NodeFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One decision that changed something."""

    at: float
    """Seconds from the begin of the trace."""
    model: str
    ready: int
    desired: int
    applied: int
    mode: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What there was over time, thinned to some thousand points; all of one length."""

    at: tuple[float, ...] = ()
    """Seconds: the begin of each stretch."""
    arrivals: tuple[float, ...] = ()
    """Requests per second, the mean of the stretch."""
    held: tuple[float, ...] = ()
    """Requests held at once, the most of the stretch."""
    ready: tuple[float, ...] = ()
    """Replicas that answer, the most of the stretch."""
    loading: tuple[float, ...] = ()
    """Replicas that start, the most of the stretch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One run, summed up."""

    name: str
    """For a person: "these settings", "Knative's defaults", "always on"."""
    settings: Mapping[str, str]
    """By the names of docs/documents.md (annotations without their prefix); of several
    revisions, each after whose it is."""
    figures: tuple[Figures, ...]
    """One for each revision."""
    gpus: int
    """GPUs of a replica, the most; 0: GPU-seconds are replica-seconds."""
    most: int
    """Replicas at once, of all revisions together, at most."""
    waits: tuple[tuple[float, float], ...] = ()
    """Quantiles of the wait of all that were answered: share in [0, 1], seconds."""
    mean_wait_s: float = 0.0
    """The mean of them."""
    nodes: NodeFigures | None = None
    """None: replicas were placed nowhere."""
    series: Series = field(default_factory=Series)
    moments: tuple[Moment, ...] = ()
    unlisted: int = 0
    """How many more there were after the last of them: too many for a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """How to have the same again."""

    command: str
    version: str
    seed: int
    trace: str
    """What the trace is, for a person."""
    digest: str
    """The SHA-256 of the trace."""
    span_s: float
    requests: int
    start: str
    """How long a start takes, in words."""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Settings that a search has tried, by what they cost and who waited."""

    settings: Mapping[str, str]
    cost_s: float
    """GPU-seconds, or replica-seconds without GPUs."""
    wait_s: float
    """The mean wait of a request that was answered."""
    cold: float
    """Share of requests that found no ready replica."""
    name: str = ""
    """What it is, if it is more than one of many: "the pick", "Knative's"."""
    front: bool = False
    """Nothing that was tried costs less and has shorter waits."""
    sure: Spread | None = None
    """Where its cost and its wait may lie; None: it was not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """What two settings do together, the others as they were picked."""

    across: str
    up: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cost_s: tuple[tuple[float, ...], ...]
    """By row, then column."""
    wait_s: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """What a search has found."""

    points: tuple[Point, ...]
    goal: str
    """What the pick had to meet, in words."""
    verdict: str
    """How it does, on what was not used for choosing too."""
    heat: Heat | None = None
