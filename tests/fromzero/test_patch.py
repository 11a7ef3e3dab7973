"""A patch is the same document with other settings, and is read as them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from autoscaler.core.domain import RevisionSpec, ScalingSpec
from autoscaler.documents import load
from autoscaler.kserve import Defaults, plan
from autoscaler.versions import Memory
from fromzero.errors import CommandError
from fromzero.patch import chosen, patched
from simulations.sweep import apply
from tests.fromzero.test_simulate import DOCUMENT


@pytest.mark.parametrize(
    "choice", [(0.1, 0.9, 0.1, 0.5, 0.1), (0.9, 0.0, 0.9, 0.2, 0.8)]
)
def test_what_was_chosen_is_what_up_reads(tmp_path, choice):
    path = tmp_path / "echo.yaml"
    path.write_text("kind: Other\n---\n" + DOCUMENT.format(name="echo"))
    spec = RevisionSpec(scaling=ScalingSpec(min_replicas=0, max_replicas=2))
    spec = apply(spec, choice)

    text = patched(path, "default/echo", spec)
    path.write_text(text)
    ((_, wanted),) = plan(load([path]), Defaults(), Memory()).wanted.items()

    its = wanted.spec.scaling
    assert (its.stable_window_s, its.retention_s, its.panic) == (
        spec.scaling.stable_window_s, spec.scaling.retention_s, spec.scaling.panic,
    )  # fmt: skip
    assert its.target_utilization == pytest.approx(spec.scaling.target_utilization)
    assert its.scale_down_delay_s == spec.scaling.scale_down_delay_s
    assert its.panic_threshold == pytest.approx(spec.scaling.panic_threshold)
    document = yaml.safe_load(text)
    assert document["spec"]["predictor"]["containers"][0]["command"] == ["serve"]


def test_one_replica_has_only_what_says_when_it_sleeps():
    spec = RevisionSpec(scaling=ScalingSpec(min_replicas=0, max_replicas=1))

    assert len(chosen(spec)) == 2
    assert len(chosen(replace(spec, scaling=ScalingSpec(max_replicas=3)))) == 6


def test_a_document_that_is_not_there_is_an_error(tmp_path):
    path = tmp_path / "echo.yaml"
    path.write_text(DOCUMENT.format(name="echo"))

    with pytest.raises(CommandError, match="no InferenceService default/other"):
        patched(path, "default/other", RevisionSpec())


@pytest.mark.slow
def test_a_real_cluster_takes_it_over_the_document_that_was_there(
    cluster, space, tmp_path
):
    path = tmp_path / "echo.yaml"
    path.write_text(DOCUMENT.format(name="echo"))
    spec = RevisionSpec(scaling=ScalingSpec(min_replicas=0, max_replicas=2))
    spec = apply(spec, (0.5, 0.5, 0.1, 0.5, 0.1))
    text = patched(path, "default/echo", spec)

    cluster.kubectl("-n", space, "apply", "-f", "-", given=path.read_text())
    said = cluster.kubectl("-n", space, "apply", "-f", "-", given=text)

    assert "configured" in said
    live = yaml.safe_load(
        cluster.kubectl("-n", space, "get", "isvc", "echo", "-o", "yaml")
    )
    assert chosen(spec).items() <= live["metadata"]["annotations"].items()
    assert live["spec"]["predictor"]["maxReplicas"] == 2
