from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.core.domain import RevisionSpec, ScalingSpec
from simulations.policies.named import PolicyError, by_name
from simulations.report import figures
from tests.golden.scenarios import ALL
from tests.simulations.laws import lawful

NAMES = (
    "kpa", "knative", "hpa", "always-on", "keepalive:30s", "breakeven", "breakeven:2",
    "histogram:1h", "seasonal", "seasonal:2m", "greedy-dual", "offline",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scenario", ALL)
def test_each_keeps_the_laws_of_every_run(name, scenario):
    found = lawful(replace(ALL[scenario](), policy=by_name(name)))

    assert any(each.starts for each in figures(found))


def test_the_production_policy_is_the_run_without_one():
    plain, named = ALL["bursts"](), replace(ALL["bursts"](), policy=by_name("kpa"))

    assert figures(lawful(named)) == figures(lawful(plain))


def test_always_on_has_so_many_at_least_from_the_begin():
    spec = by_name("always-on:3").adapt(
        RevisionSpec(scaling=ScalingSpec(min_replicas=0, max_replicas=5))
    )

    assert (spec.scaling.min_replicas, spec.scaling.initial_scale) == (3, 3)


@pytest.mark.parametrize(
    "text",
    ["", "keepalive", "keepalive:", "keepalive:soon", "keepalive:0s", "keepalive:60",
     "always-on:0", "always-on:x", "breakeven:x", "lru", "kpa:1", "hpa:"],
)  # fmt: skip
def test_what_names_no_policy_is_refused_with_the_rule(text):
    with pytest.raises(PolicyError, match="must be kpa, knative, hpa") as refused:
        by_name(text)

    assert repr(text) in str(refused.value)
