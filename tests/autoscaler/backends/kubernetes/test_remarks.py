from __future__ import annotations

from autoscaler.backends.kubernetes.managed import Reference
from autoscaler.backends.kubernetes.remarks import complaints, malformed, remarks
from autoscaler.component import Said
from autoscaler.errors import Problem
from autoscaler.notes import Level

ABOUT = Reference(api_version="v1", kind="Pod", namespace="a", name="b")


def test_a_field_that_kserve_cannot_read_blocks_and_an_annotation_does_not():
    assert malformed(Problem(field="spec.canary[0]", rule="must be a mapping"))
    assert malformed(Problem(field="spec.predictor.annotations", rule="must be"))
    assert not malformed(Problem(field='spec.predictor.annotations["x/y"]', rule="x"))
    assert not malformed(Problem(field='fromzero-revisions["a"].timeout', rule="x"))


def test_each_field_is_complained_of_once():
    twice = [Problem(field="spec.a", value="1", rule=f"must be {n}") for n in (1, 2)]

    (found,) = complaints(ABOUT, twice)

    assert found.message == "spec.a = 1, must be 1"


def test_many_remarks_are_a_few():
    said = [Said(text="x" * 5_000, level=Level.WARNING)]
    said += [Said(text=str(n)) for n in range(100)]
    found = list(remarks(ABOUT, said * 2))

    assert len(found) == 20
    assert (len(found[0].message), found[0].warning, found[1].warning) == (
        900,
        True,
        False,
    )
