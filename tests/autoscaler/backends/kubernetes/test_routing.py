"""Which requests through a gateway go to which revision."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.routing import distinct
from autoscaler.backends.kubernetes.space import Settings
from autoscaler.core.domain import Route
from tests.autoscaler.backends.kubernetes.kserved import (
    CLASS,
    SLEEPY,
    counted,
    deployment,
    isvc,
    key,
    service,
)

CANARY = [{"trafficPercent": 20, "predictor": {"name": "v2"}}]
BOTH = ("iris-predictor", "iris-v2-predictor")


def by_component(found):
    return {each.component: each for each in found.routes}


def test_a_service_has_its_hosts_in_the_domain_and_in_the_cluster():
    found = by_component(counted(isvc(), settings=Settings(domain="models.example")))

    assert found[""].hosts == (
        "iris-production.models.example",
        "iris.production.models.example",
        "iris.production",
        "iris.production.svc",
        "iris.production.svc.cluster.local",
    )
    assert "iris-predictor.production.svc" in found["predictor"].hosts
    assert found[""].backends == ((key(), 100.0),)
    assert found[""].models == ("iris", "production/iris")


def test_requests_to_a_service_go_to_its_transformer():
    found = counted(isvc(transformer={}), names=("iris-predictor", "iris-transformer"))

    assert by_component(found)[""].backends == ((key("iris-transformer"), 100.0),)


def test_a_canary_gets_its_share_and_has_a_host_of_its_own():
    found = counted(isvc(canary=CANARY), names=BOTH)

    whole, split, own = found.routes
    assert whole.backends == ((key(), 80.0), (key("iris-v2-predictor"), 20.0))
    assert split.backends == whole.backends
    assert own.backends == ((key("iris-v2-predictor"), 100.0),)
    assert own.hosts[2] == "iris-v2-predictor.production"


def test_a_canary_that_is_not_there_yet_leaves_its_share_to_the_stable_one():
    found = counted(isvc(canary=CANARY), names=BOTH[:1])

    assert found.routes[0].backends == ((key(), 100.0),)


def test_all_for_a_canary_that_is_not_there_yet_still_goes_to_the_stable_one():
    canary = [{"trafficPercent": 100, "predictor": {"name": "v2"}}]
    found = counted(isvc(canary=canary), names=BOTH[:1])

    assert found.routes[0].backends == ((key(), 100.0),)


def test_a_canary_alone_is_met_by_its_own_name_only():
    found = counted(isvc(canary=CANARY), names=BOTH[1:])

    (own,) = found.routes
    assert own.backends == ((key("iris-v2-predictor"), 100.0),)
    assert "iris-predictor.production" not in own.hosts


def test_a_transformer_that_is_not_ours_is_not_gone_around():
    one = isvc(transformer={"annotations": {CLASS: "hpa"}})
    found = counted(one, names=("iris-predictor", "iris-transformer"))

    assert list(by_component(found)) == ["predictor"]


def test_what_arguments_call_the_model_names_its_service():
    named = {**SLEEPY, "model": {"args": ["--served-model-name", "flowers"]}}

    found = by_component(counted(isvc(predictor=named)))

    assert found[""].models == ("iris", "production/iris", "flowers")


@pytest.mark.parametrize("kind", ["transformer", "explainer"])
def test_what_calls_the_predictor_wakes_it_too(kind):
    name = f"iris-{kind}"
    found = counted(isvc(canary=CANARY, **{kind: {}}), names=(*BOTH, name))

    assert found.managed[key(name)].spec.together == (key(),)
    assert found.managed[key()].spec.together == ()


def test_a_transformer_before_a_predictor_that_is_not_ours_wakes_nothing():
    hpa = {**SLEEPY, "annotations": {CLASS: "hpa"}}
    found = counted(
        isvc(predictor=hpa, transformer={}),
        names=("iris-predictor", "iris-transformer"),
    )

    assert list(found.managed) == [key("iris-transformer")]
    assert found.managed[key("iris-transformer")].spec.together == ()


def test_a_model_name_that_two_services_claim_is_nobodys():
    one = Route(namespace="a", service="iris", models=("iris", "a/iris", "x"))
    two = Route(namespace="b", service="iris", models=("iris", "b/iris", "y"))

    assert [each.models for each in distinct((one, two))] == [
        ("a/iris", "x"),
        ("b/iris", "y"),
    ]


def test_nobody_takes_the_whole_name_of_another_service():
    mine = Route(namespace="a", service="iris", models=("iris", "a/iris"))
    thief = Route(namespace="b", service="x", models=("a/iris", "b/x"))

    assert [each.models for each in distinct((thief, mine))] == [
        ("b/x",),
        ("iris", "a/iris"),
    ]


@given(
    shares=st.lists(st.integers(0, 40), max_size=3),
    there=st.sets(st.integers(0, 3), min_size=1),
)
def test_weights_of_every_route_sum_to_100(shares, there):
    canary = [
        {"trafficPercent": share, "predictor": {"name": f"v{at}"}}
        for at, share in enumerate(shares)
        if sum(shares) <= 100
    ]
    every = ["iris-predictor", *(f"iris-v{at}-predictor" for at in range(3))]
    names = [every[at] for at in there]
    found = counted(
        isvc(canary=canary),
        deployments=tuple(deployment(each) for each in names),
        services=tuple(service(each) for each in names),
    )

    for route in found.routes:
        assert route.backends
        assert abs(sum(weight for _, weight in route.backends) - 100) < 1e-9
        assert all(backend in found.managed for backend, _ in route.backends)


def test_a_host_that_two_namespaces_claim_is_nobodys():
    one = Route(namespace="b-c", service="a", hosts=("a-b-c.example.com", "a.b-c"))
    two = Route(namespace="c", service="a-b", hosts=("a-b-c.example.com", "a-b.c"))

    assert [each.hosts for each in distinct((one, two))] == [("a.b-c",), ("a-b.c",)]
    assert [each.hosts for each in distinct((one,))] == [one.hosts]
