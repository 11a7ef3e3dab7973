"""What cpu and memory mean, in % of what was asked for."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.base import Requested
from autoscaler.backends.kubernetes.facts import Container, Meta, Pod
from autoscaler.backends.kubernetes.usage import percent
from autoscaler.core.domain import Metric
from tests.autoscaler.backends.kubernetes.anything import JSON


def pod(name: str, **containers: Requested) -> Pod:
    return Pod(
        meta=Meta(name=name),
        containers=tuple(
            Container(name=each, requested=requested)
            for each, requested in containers.items()
        ),
    )


def document(name: str, **containers: dict[str, object]) -> dict[str, object]:
    return {
        "metadata": {"name": name},
        "containers": [
            {"name": each, "usage": use} for each, use in containers.items()
        ],
    }


ONE = Requested(cpu=2.0, memory=1 << 30)


def test_pods_count_together_by_what_they_asked_for():
    pods = [pod("a", main=ONE), pod("b", main=Requested(cpu=1.0, memory=1 << 30))]
    documents = [
        document("a", main={"cpu": "500m", "memory": "512Mi"}),
        document("b", main={"cpu": "250000000n", "memory": "0"}),
        document("other", main={"cpu": "99", "memory": "99Gi"}),
    ]

    assert percent(pods, documents, Metric.CPU) == pytest.approx(25.0)
    assert percent(pods, documents, Metric.MEMORY) == pytest.approx(25.0)


@pytest.mark.parametrize(
    ("pods", "documents"),
    [
        pytest.param([], [], id="no pod"),
        pytest.param([pod("a", main=ONE)], [], id="a pod that was not measured yet"),
        pytest.param(
            [pod("a", main=Requested())],
            [document("a", main={"cpu": "1", "memory": "1"})],
            id="a container that asks for nothing",
        ),
        pytest.param(
            [pod("a", main=ONE, side=ONE)],
            [document("a", main={"cpu": "1", "memory": "1"})],
            id="a container that was not measured",
        ),
        pytest.param(
            [pod("a", main=ONE)],
            [document("a", main={"cpu": "lots", "memory": True})],
            id="a use that is no amount",
        ),
        pytest.param(
            [pod("a", main=ONE)],
            [document("a", main={"cpu": "1" * 400, "memory": 10**400})],
            id="a use of endless digits",
        ),
        pytest.param([pod("a", main=ONE)], [document("a")], id="no container"),
    ],
)
def test_what_is_not_known_is_no_number(pods, documents):
    assert percent(pods, documents, Metric.CPU) is None
    assert percent(pods, documents, Metric.MEMORY) is None


@given(
    st.lists(
        JSON
        | st.builds(
            document,
            st.just("a"),
            main=st.dictionaries(st.sampled_from(["cpu", "memory"]), JSON),
        ),
        max_size=4,
    )
)
def test_whatever_the_documents_are_the_answer_is_a_share_or_none(documents):
    for metric in (Metric.CPU, Metric.MEMORY):
        share = percent([pod("a", main=ONE)], documents, metric)

        assert share is None or (share >= 0 and math.isfinite(share))
