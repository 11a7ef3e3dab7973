"""A Deployment's own annotations: opting in, and its settings."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.managed import reference
from autoscaler.backends.kubernetes.overrides import LIVE, Overrides
from autoscaler.backends.kubernetes.overrides import read as overridden
from autoscaler.backends.kubernetes.piece import Sheet
from autoscaler.backends.kubernetes.plain import MANAGED, SERVICE, read
from autoscaler.backends.kubernetes.space import Settings
from autoscaler.core.domain import Metric
from tests.autoscaler.backends.kubernetes.kserved import deployment

DEFAULTS = Settings().defaults
IN = {MANAGED: "true"}


def annotated(annotations, of=""):
    its = deployment("web", of)
    return replace(its, meta=replace(its.meta, annotations=annotations))


def sheet(annotations, overrides=None):
    return read(annotated(annotations), DEFAULTS, overrides or Overrides())


def only(annotations, overrides=None):
    (piece,) = sheet(annotations, overrides).pieces
    return piece


def test_who_says_nothing_is_not_looked_at():
    assert sheet({}) == Sheet()
    assert sheet({"fromzero.dev/min-replicas": "0"}) == Sheet()
    assert sheet({MANAGED: "false"}) == Sheet()


def test_a_deployment_opts_in_with_the_service_of_its_own_name():
    assert (only(IN).name, only(IN).service) == ("web", "web")
    assert only({**IN, SERVICE: "front"}).service == "front"


def test_every_setting_has_an_annotation_of_ours():
    piece = only(
        {
            **IN,
            "fromzero.dev/min-replicas": "0",
            "fromzero.dev/max-replicas": "4",
            "fromzero.dev/metric": "rps",
            "fromzero.dev/target": "20",
            "fromzero.dev/container-concurrency": "2",
            "fromzero.dev/timeout": "5m",
            "fromzero.dev/scale-to-zero-grace-period": "1m",
            "fromzero.dev/hold-limit": "2m",
        }
    )

    assert (piece.scaling.min_replicas, piece.scaling.max_replicas) == (0, 4)
    assert (piece.scaling.metric, piece.scaling.total_value) == (Metric.RPS, 20)
    assert (piece.gate.container_concurrency, piece.gate.timeout_s) == (2, 300.0)
    assert (piece.scaling.grace_s, piece.gate.hold_limit_s) == (60.0, 120.0)


def test_knatives_annotations_count_and_ours_win():
    both = {
        **IN,
        "autoscaling.knative.dev/min-scale": "2",
        "autoscaling.knative.dev/window": "30s",
        "fromzero.dev/stable-window": "90s",
    }

    assert only(both).scaling.min_replicas == 2
    assert only(both).scaling.stable_window_s == 90


def test_our_config_map_wins_over_annotations():
    live = overridden({"web": "min-replicas: 0"}, reference(annotated({})))

    assert (
        only({**IN, "fromzero.dev/min-replicas": "3"}, live).scaling.min_replicas == 0
    )


def test_what_is_wrong_is_said_by_its_annotation_and_left_out():
    wrong = {**IN, "fromzero.dev/min-replicas": "none", "fromzero.dev/mx-replicas": "1"}
    found = sheet(wrong)

    assert found.pieces[0].scaling.min_replicas == 1
    messages = [each.message for each in found.findings]
    assert any(
        each.startswith(
            'metadata.annotations["fromzero.dev/min-replicas"] = none, must'
        )
        for each in messages
    )
    assert any(
        "fromzero.dev/mx-replicas is not an annotation" in each for each in messages
    )
    assert not any(each.blocks for each in found.findings)


def test_opting_in_takes_true_or_false():
    found = sheet({MANAGED: "yes please"})

    assert found.pieces == ()
    assert found.findings[0].blocks
    assert (
        'fromzero.dev/managed = yes please, must be "true"' in found.findings[0].message
    )


def test_what_kserve_copied_from_an_inference_service_opts_nothing_in():
    assert read(annotated(IN, of="iris"), DEFAULTS, Overrides()) == Sheet()


def test_a_deployment_that_is_going_is_let_go():
    its = annotated(IN)

    going = replace(its, meta=replace(its.meta, deleting=True))
    assert read(going, DEFAULTS, Overrides()) == Sheet()


@pytest.mark.parametrize("name", sorted(LIVE))
def test_no_text_of_any_setting_raises(name):
    for text in ("", "0", "-1", "x" * 9_999, "1e30", "\x00", "null", "9" * 60):
        assert only({**IN, f"fromzero.dev/{name}": text}).name == "web"


@given(
    st.dictionaries(
        st.sampled_from([MANAGED, SERVICE, *(f"fromzero.dev/{each}" for each in LIVE)])
        | st.text(max_size=9),
        st.text(max_size=9) | st.integers(-9, 999).map(str),
        max_size=6,
    )
)
def test_any_annotations_give_settings_within_bounds(annotations):
    for piece in sheet({**annotations, **IN}).pieces:
        scaling = piece.scaling
        assert scaling.min_replicas >= 0
        assert scaling.max_replicas == 0 or scaling.max_replicas >= scaling.min_replicas
        assert piece.service
