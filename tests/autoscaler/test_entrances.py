"""Routes: which names lead where."""

from __future__ import annotations

from autoscaler.core.domain import RevisionKey
from autoscaler.kserve import Defaults
from tests.autoscaler.test_service import CHANGE, variant
from tests.autoscaler.written import SERVE, planned, refused, service


def by_component(plan, component):
    return [each for each in plan.routes if each.component == component]


def test_a_service_has_the_hosts_that_kserve_gives_it(tmp_path):
    plan = planned(tmp_path, service(namespace="lab"))
    whole, predictor = plan.routes

    assert whole.hosts == (
        "iris-lab.localhost",
        "iris.lab.localhost",
        "iris.lab",
        "iris.lab.svc",
        "iris.lab.svc.cluster.local",
    )
    assert predictor.hosts == (
        "iris-predictor-lab.localhost",
        "iris-predictor.lab.localhost",
        "iris-predictor.lab",
        "iris-predictor.lab.svc",
        "iris-predictor.lab.svc.cluster.local",
    )
    assert predictor.component == "predictor"


def test_the_domain_is_a_setting(tmp_path):
    plan = planned(tmp_path, service(), defaults=Defaults(domain="a.b"))

    assert plan.routes[0].hosts[0] == "iris-default.a.b"


def test_every_routes_weights_sum_to_100(tmp_path):
    plan = planned(
        tmp_path,
        service(transformer=CHANGE, canary=[variant("b", 25), variant("c", 0)]),
        service(name="other"),
    )

    for route in plan.routes:
        assert sum(weight for _, weight in route.backends) == 100


def test_requests_to_a_service_go_to_its_transformer(tmp_path):
    plan = planned(tmp_path, service(transformer=CHANGE))
    (whole,) = by_component(plan, "")

    assert whole.backends == (
        (RevisionKey("default", "iris-transformer-00001"), 100.0),
    )
    assert [each.component for each in plan.routes] == ["", "predictor", "transformer"]


def test_a_variant_has_a_name_of_its_own_that_leads_to_it_alone(tmp_path):
    plan = planned(tmp_path, service(canary=[variant("b", 25)]))
    both, own = by_component(plan, "predictor")

    assert [weight for _, weight in both.backends] == [75, 25]
    assert "iris-b-predictor.default" in own.hosts
    assert own.backends == ((RevisionKey("default", "iris-b-predictor-00001"), 100.0),)


def test_a_model_is_called_by_service_namespace_and_its_arguments(tmp_path):
    container = {**SERVE, "args": ["--served-model-name", "gemma", "--port=$(PORT)"]}
    plan = planned(tmp_path, service({"containers": [container]}))

    assert plan.routes[0].models == ("iris", "default/iris", "gemma")
    assert plan.routes[1].models == ()


def test_a_name_in_two_namespaces_means_neither_without_its_namespace(tmp_path):
    plan = planned(tmp_path, service(), service(namespace="lab"))

    assert [each.models for each in by_component(plan, "")] == [
        ("default/iris",),
        ("lab/iris",),
    ]


def test_two_services_that_one_host_would_mean_are_refused(tmp_path):
    found = refused(
        tmp_path, service(name="a-b", namespace="c"), service(name="a", namespace="b-c")
    )

    assert found == [
        "InferenceService b-c/a is reached at a-b-c.localhost, and so is c/a-b; "
        "give one of them another name"
    ]


def test_a_service_called_as_anothers_predictor_is_refused(tmp_path):
    found = refused(tmp_path, service(), service(name="iris-predictor"))

    assert "and so is default/iris" in found[0]
