from __future__ import annotations

import pytest

from autoscaler.backends.kubernetes.managed import Reference, reference
from tests.autoscaler.backends.kubernetes.kserved import deployment, isvc


@pytest.mark.parametrize(
    ("its", "named", "version"),
    [
        (isvc(), "InferenceService production/iris", "serving.kserve.io/v1beta1"),
        (deployment("web"), "Deployment production/web", "apps/v1"),
    ],
    ids=["KServe's", "plain"],
)
def test_a_reference_names_its_object_as_a_person_does_and_as_the_api_does(
    its, named, version
):
    about = reference(its)

    assert str(about) == named
    assert about.api_version == version
    assert about.uid == its.meta.uid


def test_what_is_in_no_namespace_is_named_without_one():
    about = Reference(api_version="v1", kind="Namespace", namespace="", name="prod")

    assert str(about) == "Namespace prod"
