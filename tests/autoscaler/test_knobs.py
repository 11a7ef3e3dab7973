"""The table of settings against the facts that have them."""

from __future__ import annotations

import dataclasses

import pytest

from autoscaler.component import SpecDefaults
from autoscaler.core.domain import GateSpec, ScalingSpec
from autoscaler.core.target import TargetDefaults
from autoscaler.knob import held, parse
from autoscaler.knobs import KNOBS

FACTS = {"scaling": ScalingSpec, "gate": GateSpec, "target": TargetDefaults}
DERIVED = {"total_value", "target_utilization", "reachable"}
"""Fields that other settings give; what `target` and its like do."""


def test_every_field_of_the_facts_has_one_setting():
    for name, fact in FACTS.items():
        fields = {each.name for each in dataclasses.fields(fact)} - DERIVED
        knobs = [each.field for each in KNOBS.values() if each.of == name]

        assert sorted(knobs) == sorted(fields), name


@pytest.mark.parametrize("knob", KNOBS.values(), ids=KNOBS)
def test_every_default_is_in_its_range(knob):
    if not knob.of:
        return
    value = getattr(getattr(SpecDefaults(), knob.of), knob.field)
    text = str(round(value * 100) if knob.percent else value)

    read = parse(knob, text)
    assert read is not None
    assert held(knob, read) == value


def test_no_two_settings_share_a_name_an_annotation_or_a_field():
    for what in ("annotation", "document"):
        named = [each for knob in KNOBS.values() if (each := getattr(knob, what))]

        assert len(named) == len(set(named))
