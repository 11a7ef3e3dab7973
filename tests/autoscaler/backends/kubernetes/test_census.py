"""A namespace is counted: who is managed, each on its own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.census import Census, census
from autoscaler.backends.kubernetes.facts import (
    Condition,
    HttpRoute,
    InferenceService,
    Meta,
    Writer,
)
from autoscaler.backends.kubernetes.managed import Door, Reference
from autoscaler.backends.kubernetes.overrides import read as overridden
from autoscaler.backends.kubernetes.space import Settings, Space
from tests.autoscaler.backends.kubernetes.anything import JSON
from tests.autoscaler.backends.kubernetes.kserved import (
    EXTERNAL,
    SPACE,
    counted,
    deployment,
    isvc,
    key,
    reasons,
    saying,
    service,
    space,
)

OPTED = {"fromzero.dev/managed": "true", "fromzero.dev/min-replicas": "0"}
SETTINGS = Settings()


def plain(name, created=0.0, **annotations):
    its = deployment(name, of="")
    meta = replace(its.meta, annotations={**OPTED, **annotations}, created=created)
    return replace(its, meta=meta)


def test_an_empty_namespace_has_nothing():
    found = census(Space(namespace=Meta(name=SPACE)), SETTINGS)

    assert (found.managed, found.findings, found.routes) == ({}, (), ())


def test_an_inference_service_is_managed_with_its_service_and_owner():
    found = counted(isvc()).managed[key()]

    assert found.service == "iris-predictor"
    assert found.service_uid == "uid-iris-predictor"
    assert found.doors == (Door(name="http1", port=80, target="http1"),)
    assert str(found.owner) == "InferenceService production/iris"
    assert (found.isvc, found.component, found.weight) == ("iris", "predictor", 100.0)
    assert found.floor_why == ""
    assert found.spec.scaling.min_replicas == 0


def test_a_canary_with_traffic_never_sleeps_and_says_why():
    canary = [
        {"trafficPercent": 20, "predictor": {"name": "b"}},
        {"trafficPercent": 0, "predictor": {"name": "c"}},
    ]
    names = ("iris-predictor", "iris-b-predictor", "iris-c-predictor")
    found = counted(isvc(canary=canary), names=names).managed

    assert found[key()].floor_why == ""
    assert "canary with 20 % of the requests" in found[key(names[1])].floor_why
    assert found[key(names[2])].floor_why == ""
    assert [found[key(each)].weight for each in names] == [80, 20, 0]


def test_a_plain_deployment_is_managed_with_its_service():
    found = census(
        Space(
            namespace=Meta(name=SPACE),
            deployments=(plain("web", **{"fromzero.dev/service": "front"}),),
            services=(service("front", selector={"app": "isvc.web"}),),
        ),
        SETTINGS,
    )

    managed = found.managed[key("web")]
    assert (managed.service, managed.isvc, managed.component) == ("front", "", "")
    assert str(managed.owner) == "Deployment production/web"
    assert managed.spec.scaling.min_replicas == 0
    (route,) = found.routes
    assert route.service == "front"
    assert "front.production.svc" in route.hosts
    assert route.backends == ((key("web"), 100.0),)


def test_a_service_belongs_to_the_deployment_that_had_it_first():
    young = plain("a", created=2.0, **{"fromzero.dev/service": "web"})
    old = plain("web", created=1.0)
    shared = service("web", selector={})
    shared = replace(shared, selector={})
    found = census(
        Space(
            namespace=Meta(name=SPACE),
            deployments=(
                replace(young, labels=old.labels),
                old,
            ),
            services=(replace(shared, selector=old.labels),),
        ),
        SETTINGS,
    )

    assert list(found.managed) == [key("web")]
    assert saying(found, "ServiceShared").key == key("a")
    assert saying(found, "ServiceShared").blocks


def test_a_plain_deployment_cannot_have_an_inference_services_service():
    thief = plain("thief", **{"fromzero.dev/service": "iris-predictor"})
    found = counted(
        isvc(),
        deployments=(
            deployment(),
            replace(thief, labels={"app": "isvc.iris-predictor"}),
        ),
    )

    assert list(found.managed) == [key()]
    assert "ServiceShared" in reasons(found)


@pytest.mark.parametrize(
    ("limit", "held"), [(60.0, 58.0), (0.0, 300.0), (3.0, 1.5), (900.0, 300.0)]
)
def test_the_hold_ends_before_the_routes_timeout(limit, held):
    route = HttpRoute(
        meta=Meta(name="iris"), services=("iris-predictor",), timeout_s=limit
    )

    found = counted(isvc(), routes=(route,))

    assert found.managed[key()].spec.gate.hold_limit_s == held


def test_a_route_to_the_transformer_ends_what_waits_for_the_predictor():
    route = HttpRoute(
        meta=Meta(name="iris"), services=("iris-transformer",), timeout_s=30.0
    )
    names = ("iris-predictor", "iris-transformer")
    found = counted(isvc(transformer={}), routes=(route,), names=names)

    assert [each.spec.gate.hold_limit_s for each in found.managed.values()] == [28, 28]


def test_a_gateway_that_shows_no_route_is_a_setting():
    found = counted(isvc(), settings=Settings(route_timeout_s=20.0))

    assert found.managed[key()].spec.gate.hold_limit_s == 18.0


def test_a_learned_start_longer_than_the_route_is_found():
    route = HttpRoute(
        meta=Meta(name="iris"), services=("iris-predictor",), timeout_s=60.0
    )
    found = counted(isvc(), routes=(route,), learned={key(): 84.6})

    assert "takes 85 s" in saying(found, "RouteTimeout").message


def test_another_scaler_on_the_deployment_is_hands_off():
    writer = Writer(
        meta=Meta(name="iris-predictor"), kind="ScaledObject", target="iris-predictor"
    )
    found = counted(isvc(), writers=(writer,))

    assert found.managed == {}
    assert found.routes == ()
    assert saying(found, "OtherScaler").blocks


def test_who_writes_over_our_count_is_left_alone_and_back_once_it_is_gone():
    def seen(managers, before):
        made = deployment(managers=managers)
        return counted(isvc(), deployments=(made,), before=before)

    ours = seen(("manager", "fromzero"), None)
    theirs = seen(("manager", "argocd"), ours)
    still = seen(("manager", "argocd"), theirs)
    gone = seen(("manager", "kubectl"), still)

    assert [key() in each.managed for each in (ours, theirs, still, gone)] == [
        True,
        False,
        False,
        True,
    ]


def test_what_the_config_map_says_counts_at_once():
    about = Reference(api_version="v1", kind="ConfigMap", namespace="a", name="b")
    first = counted(isvc())
    live = overridden({"iris-predictor": "max-replicas: 3"}, about)

    second = counted(isvc(), settings=Settings(overrides=live), before=first)

    assert first.managed[key()].spec.scaling.max_replicas == 1
    assert second.managed[key()].spec.scaling.max_replicas == 3


def test_nothing_is_read_again_for_what_only_moved():
    first = counted(isvc())
    one = isvc()
    moved = counted(
        replace(one, meta=replace(one.meta, resource_version="9", generation=2)),
        deployments=(
            replace(
                deployment(),
                replicas=0,
                ready=1,
                conditions=(Condition(type="Available", status="True"),),
            ),
        ),
        before=first,
    )

    where = ("InferenceService", "iris")
    assert moved.entries[where] is first.entries[where]
    assert moved == first


def test_a_malformed_service_disturbs_no_other():
    bad = isvc("bad", predictor={"minReplicas": "0"})
    alone = counted(isvc())

    found = counted(isvc(), bad)

    assert found.managed == alone.managed
    assert found.routes == alone.routes
    assert [each.about.name for each in found.findings] == ["bad"]


def test_a_service_with_too_much_to_read_is_skipped_and_disturbs_no_other():
    rule = "70000 characters, must be at most 65536"
    large = replace(isvc("large"), spec={}, too_large=rule)

    found = counted(isvc(), large)

    assert found.managed == counted(isvc()).managed
    (said,) = [each for each in found.findings if each.about.name == "large"]
    assert said.blocks
    assert rule in said.message


CHILDREN = ["iris-predictor", "web", "odd-predictor", "odd-b-predictor"]
ODD = st.builds(
    lambda spec, mode, annotations: InferenceService(
        meta=Meta(namespace=SPACE, name="odd", annotations={**EXTERNAL, **annotations}),
        spec=spec,
        mode=mode,
    ),
    spec=st.dictionaries(
        st.sampled_from(["predictor", "transformer", "canary", "suspend"]), JSON
    )
    | JSON.map(lambda any_: {"predictor": any_}),
    mode=st.sampled_from(["Standard", ""]),
    annotations=st.dictionaries(
        st.sampled_from(["autoscaling.knative.dev/window", "fromzero.dev/max-held"]),
        st.text(max_size=5),
    ),
)


def town(*odd):
    return space(
        isvc(),
        *odd,
        deployments=(
            deployment(),
            plain("web"),
            *(deployment(each, "odd") for each in CHILDREN[2:]),
        ),
        services=tuple(service(each) for each in CHILDREN),
    )


@settings(max_examples=200)
@given(odd=ODD)
def test_no_document_raises_or_changes_what_became_of_another(odd):
    alone = census(town(), SETTINGS)
    found = census(town(odd), SETTINGS)

    ours = {name: each for name, each in found.managed.items() if each.isvc != "odd"}
    assert ours == alone.managed
    assert [each for each in found.routes if each.service != "odd"] == [*alone.routes]
    assert [each for each in found.findings if each.about.name != "odd"] == [
        *alone.findings
    ]


@settings(max_examples=100)
@given(first=ODD, second=ODD)
def test_a_census_with_one_before_it_is_the_census_without(first, second):
    before = census(town(first), SETTINGS)

    again = census(town(second), SETTINGS, before)

    assert again == census(town(second), SETTINGS)
    assert census(town(second), SETTINGS, again) == again


@given(order=st.permutations(range(4)))
def test_the_order_of_facts_does_not_matter(order):
    whole = town(isvc("odd"))
    shuffled = replace(
        whole,
        deployments=tuple(whole.deployments[at] for at in order),
        services=tuple(whole.services[at] for at in order),
        isvcs=whole.isvcs[::-1],
    )

    assert census(shuffled, SETTINGS) == census(whole, SETTINGS)


def test_a_census_is_a_value():
    assert Census() == Census()
