"""Each small fault in what decides is seen in a golden report."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from activator.core import switchboard
from autoscaler.core import decide
from simulations.report import render
from simulations.world import World
from tests.golden.scenarios import ALL

pytestmark = pytest.mark.source

HERE = Path(__file__).parent

ARRIVE = {
    "an arrival is counted twice": ("meter.arrived += 1", "meter.arrived += 2"),
    "its body weighs nothing": ("ticket.size = size", "ticket.size = 0"),
    "its chance is forgotten": ("ticket.pick = pick", "ticket.pick = 0.0"),
    "it waits though there is a last free replica": (
        "if not free:",
        "if len(free) < 2:",
    ),
    "the first replica gets all": (
        "endpoint = free[0] if len(free) == 1 else gate.choose(free, pick, now)",
        "endpoint = free[0]",
    ),
    "the balance knows no chance": (
        "gate.choose(free, pick, now)",
        "gate.choose(free, 0.0, now)",
    ),
    "it takes two slots": ("endpoint.in_flight + 1", "endpoint.in_flight + 2"),
    "a limit lets one more in": (
        "if in_flight == endpoint.slots:",
        "if in_flight == endpoint.slots + 1:",
    ),
    "it is not metered": ("meter.level += 1", "meter.level += 0"),
    "it is metered from another second": ("round(now * 1e9)", "round(now * 1e9 + 1e9)"),
    "it never waits": ("return self._admit(gate, ticket, now)", "return HELD"),
}
DEPART = {
    "it is metered for ever": ("meter.level -= 1", "meter.level -= 0"),
    "it is metered for a second more": ("round(now * 1e9)", "round(now * 1e9 + 1e9)"),
    "its end is taken for a beginning": (
        "meter.moments += round",
        "meter.moments -= round",
    ),
    "nobody knows when a replica was last used": (
        "endpoint.used = now",
        "endpoint.used = 0.0",
    ),
    "its slot is not given back": (
        "endpoint.in_flight -= 1",
        "endpoint.in_flight -= 0",
    ),
    "two slots are given back": ("endpoint.in_flight -= 1", "endpoint.in_flight -= 2"),
    "nobody learns of the slot": ("endpoint.place < 0", "endpoint.place < -1"),
    "only an empty replica takes the next": (
        "endpoint.place < 0",
        "endpoint.place < 0 and not endpoint.in_flight",
    ),
    "only a busy replica takes the next": (
        "endpoint.place < 0",
        "endpoint.place < 0 and endpoint.in_flight",
    ),
    "nobody is released": (
        "endpoint.place < 0",
        "endpoint.place < 0 and not gate.queue",
    ),
}
DECIDE = {
    "part of a replica is none": (
        "by_stable = ceil(seen.stable / target)",
        "by_stable = floor(seen.stable / target)",
    ),
    "part of a replica is none in a panic": (
        "by_panic = ceil(seen.panic / target)",
        "by_panic = floor(seen.panic / target)",
    ),
    "one replica too many": (
        "by_stable = ceil(seen.stable / target)",
        "by_stable = ceil(seen.stable / target) + 1",
    ),
    "it goes down at once": (
        "min(max(by_stable, down), up)",
        "min(by_stable, up)",
    ),
    "it goes up at once": (
        "up = ceil(spec.max_scale_up_rate * ready)",
        "up = 10**9",
    ),
    "a start is as good as one": ("desired < spec.activation_scale", "desired < 1"),
    "a panic forgets its most": (
        "most = max(most, desired, burst)",
        "most = max(desired, burst)",
    ),
    "it never panics": ("if panic_since is not None:", "if False:"),
    "a panic that is over counts": (
        "_panic(spec, by_panic, state, seen, now)",
        "_panic(spec, by_panic, state, seen, now - spec.stable_window_s)",
    ),
    "a delay is not kept": (
        "if spec.scale_down_delay_s <= 0:",
        "if spec.scale_down_delay_s >= 0:",
    ),
    "a delay is kept from the load of a panic only": (
        "wanted, peaks = desired, state.peaks",
        "wanted, peaks = by_panic, state.peaks",
    ),
    "what starts counts as ready": (
        "ready = seen.ready or 1",
        "ready = seen.ready + seen.starting or 1",
    ),
}


def broken(function: Callable[..., object], old: str, new: str) -> object:
    """Return *function* with *old*, which its source has once, replaced by *new*."""
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(old) == 1, f"{old!r} is {source.count(old)} times in it"
    scope = dict(function.__globals__)
    exec(source.replace(old, new), scope)
    return scope[function.__name__]


def reports() -> dict[str, str]:
    """Return every report; of a run that fails, how it failed."""
    made = {}
    for name, scenario in ALL.items():
        try:
            made[name] = render(World(scenario()).run())
        except Exception as error:
            made[name] = f"{type(error).__name__}: {error}"
    return made


def golden() -> dict[str, str]:
    return {name: (HERE / f"{name}.txt").read_text("utf-8") for name in ALL}


@pytest.mark.parametrize(
    ("owner", "name", "old", "new"),
    [
        pytest.param(owner, name, old, new, id=f"{name}: {what}")
        for owner, name, faults in (
            (switchboard.Switchboard, "arrive", ARRIVE),
            (switchboard.Switchboard, "depart", DEPART),
            (decide, "decide_at", DECIDE),
        )
        for what, (old, new) in faults.items()
    ],
)
def test_a_fault_changes_a_report(owner, name, old, new, monkeypatch):
    assert len(ARRIVE) >= 10
    assert len(DEPART) >= 10
    assert len(DECIDE) >= 10
    monkeypatch.setattr(owner, name, broken(getattr(owner, name), old, new))

    assert reports() != golden()


def test_what_was_not_broken_changes_none(monkeypatch):
    arrive = switchboard.Switchboard.arrive
    same = broken(arrive, "meter.arrived += 1", "meter.arrived += 1")
    monkeypatch.setattr(switchboard.Switchboard, "arrive", same)

    assert reports() == golden()
