from __future__ import annotations

from autoscaler.backends.kubernetes.managed import Reference


def test_a_reference_reads_as_a_person_names_it():
    iris = Reference(
        api_version="serving.kserve.io/v1beta1",
        kind="InferenceService",
        namespace="production",
        name="iris",
    )

    assert str(iris) == "InferenceService production/iris"
