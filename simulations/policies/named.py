"""Policies by the names that a person gives them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from autoscaler.core.domain import RevisionSpec
from simulations import plan
from simulations.policies.greedy import GreedyDual
from simulations.policies.histogram import Histogram
from simulations.policies.hpa import Hpa
from simulations.policies.offline import Offline
from simulations.policies.policy import Policy
from simulations.policies.rule import BreakEven, Fixed
from simulations.policies.seasonal import Seasonal
from simulations.policies.timer import Timers
from simulations.workload import Workload

_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0}
_TIME = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
RULE = (
    "must be kpa, knative, hpa, always-on, always-on:N, keepalive:TIME, breakeven, "
    "breakeven:PRICE (of a second of waiting, in seconds of a replica), "
    "histogram:TIME, seasonal, seasonal:TIME, greedy-dual or offline; TIME is 90s, 5m "
    "or 4h"
)


class PolicyError(Exception):
    """A text that names no policy: what, and the rule."""


def by_name(text: str, loads: Sequence[Workload] = ()) -> Policy:
    """Return the policy that *text* names; PolicyError: it names none.

    *loads* are what is to come, for the one that knows it.

    >>> by_name("keepalive:5m").name
    'keepalive:5m'
    """
    name, colon, given = text.strip().lower().partition(":")
    if colon and not given:
        raise PolicyError(f"policy {text!r}: {RULE}")
    match name:
        case "kpa" if not given:
            return Policy(name=name)
        case "knative" if not given:
            return Policy(name=name, adapt=plan.defaults)
        case "hpa" if not given:
            return Policy(name=name, begin=Hpa)
        case "greedy-dual" if not given:
            return Policy(name=name, begin=GreedyDual)
        case "offline" if not given:
            return Policy(name=name, begin=lambda: Offline(loads))
        case "always-on":
            return Policy(name=text, adapt=_always(_whole(text, given or "1")))
        case "keepalive" if given:
            keep_s = _time(text, given)
            return Policy(name=text, begin=lambda: Timers(lambda: Fixed(keep_s)))
        case "breakeven":
            price = _number(text, given or "0")
            return Policy(name=text, begin=lambda: Timers(lambda: BreakEven(price)))
        case "histogram":
            range_s = _time(text, given or "4h")
            return Policy(name=text, begin=lambda: Timers(lambda: Histogram(range_s)))
        case "seasonal":
            keep_s = _time(text, given or "60s")
            return Policy(name=text, begin=lambda: Seasonal(lambda: Fixed(keep_s)))
        case _:
            raise PolicyError(f"policy {text!r}: {RULE}")


def _always(least: int) -> Callable[[RevisionSpec], RevisionSpec]:
    def adapt(spec: RevisionSpec) -> RevisionSpec:
        floor = max(least, spec.scaling.min_replicas)
        scaling = replace(spec.scaling, min_replicas=floor, initial_scale=floor)
        return replace(spec, scaling=scaling)

    return adapt


def _time(text: str, given: str) -> float:
    found = _TIME.fullmatch(given)
    if found is None or not float(found[1]):
        raise PolicyError(f"policy {text!r}: {given!r} is no time; {RULE}")
    return float(found[1]) * _UNITS[found[2]]


def _number(text: str, given: str) -> float:
    if not _NUMBER.fullmatch(given):
        raise PolicyError(f"policy {text!r}: {given!r} is no number; {RULE}")
    return float(given)


def _whole(text: str, given: str) -> int:
    if not given.isdecimal() or not int(given):
        raise PolicyError(f"policy {text!r}: {given!r} is no number of 1 on; {RULE}")
    return int(given)
