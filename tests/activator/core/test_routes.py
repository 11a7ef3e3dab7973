from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.core.routes import Found, Miss, Routes, choose
from autoscaler.core.domain import RevisionKey, Route

ONE, TWO = RevisionKey("ns", "one"), RevisionKey("ns", "two")


def route(service: str, component: str = "", namespace: str = "ns", **more) -> Route:
    more.setdefault("backends", ((RevisionKey(namespace, service), 100.0),))
    return Route(namespace=namespace, service=service, component=component, **more)


IRIS = route("iris", hosts=("iris-ns.localhost", "iris.example"), models=("iris",))
INNER = route("iris", "predictor", hosts=("iris-predictor.ns",))
LLM = route("llm", namespace="default", hosts=("llm-default.localhost",),
            models=("gemma", "iris"))  # fmt: skip
ROUTES = Routes((IRIS, INNER, LLM))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        pytest.param(b"iris-ns.localhost", IRIS, id="as it is written"),
        pytest.param(b"iris-ns.localhost:8080", IRIS, id="with a port"),
        pytest.param(b"iris-ns.localhost:", IRIS, id="with an empty port"),
        pytest.param(b"Iris-NS.LocalHost", IRIS, id="in any case"),
        pytest.param(b"iris-ns.localhost.:80", IRIS, id="with the root's dot"),
        pytest.param(b"iris.example", IRIS, id="by its other name"),
        pytest.param(b"iris-predictor.ns", INNER, id="a component of its own"),
    ],
)
def test_a_host_names_a_route_however_it_is_spelled(host, expected):
    for _ in range(2):  # the second time it is remembered
        found = ROUTES.find(host, None, None, b"/v1/models/iris")

        assert isinstance(found, Found)
        assert found.route is expected
        assert found.path(b"/v1/models/iris?a") == b"/v1/models/iris?a"


@pytest.mark.parametrize(
    "host", [b"", b"localhost:8080", b"[::1]:8080", b"iris-ns.localhost:http", b"\xff"]
)
def test_an_unknown_host_is_a_miss_that_says_which(host):
    miss = ROUTES.find(host, None, None, b"/")

    assert isinstance(miss, Miss)
    assert "host" in miss.reason


def test_an_upper_case_host_of_a_route_is_found():
    routes = Routes((route("a", hosts=("A.Example",)),))

    assert isinstance(routes.find(b"a.example", None, None, b"/"), Found)


def test_spellings_that_are_remembered_are_bounded():
    routes = Routes((route("a", hosts=("a" * 240,)),))

    for port in range(20_000):
        assert isinstance(routes.find(b"%b:%d" % (b"a" * 240, port), None, None, b""),
                          Found)  # fmt: skip
    long = b"%b:%b" % (b"a" * 240, b"1" * 100)

    assert isinstance(routes.find(long, None, None, b""), Found)
    assert long not in routes._spellings
    assert len(routes._spellings) <= 16_384


def test_fields_name_a_service_where_the_host_does_not():
    found = ROUTES.find(b"gateway", b"iris", b"ns", b"/")
    by_default = ROUTES.find(b"gateway", b"llm", None, b"/")
    miss = ROUTES.find(b"gateway", b"iris", None, b"/v1/models/iris")

    assert isinstance(found, Found)
    assert found.route is IRIS
    assert isinstance(by_default, Found)
    assert by_default.route is LLM
    assert isinstance(miss, Miss)
    assert "default/iris" in miss.reason


def test_a_known_host_goes_before_fields_and_path():
    """Else a transformer that passes fields on would be sent to itself."""
    found = ROUTES.find(b"iris-predictor.ns", b"iris", b"ns", b"/serving/default/llm/")

    assert isinstance(found, Found)
    assert found.route is INNER


@pytest.mark.parametrize(
    ("path", "upstream"),
    [
        (b"/serving/ns/iris/v2/models/iris/infer", b"/v2/models/iris/infer"),
        (b"/serving/ns/iris/", b"/"),
        (b"/serving/ns/iris", b"/"),
        (b"/serving/ns/iris?a=/b", b"/?a=/b"),
    ],
)
def test_a_path_names_a_service_and_goes_on_without_its_prefix(path, upstream):
    found = ROUTES.find(b"localhost", None, None, path)

    assert isinstance(found, Found)
    assert found.route is IRIS
    assert found.path(path) == upstream


def test_a_path_goes_before_fields_which_a_transformer_passes_on():
    found = ROUTES.find(b"localhost", b"llm", b"default", b"/serving/ns/iris/v2")

    assert isinstance(found, Found)
    assert found.route is IRIS


def test_a_path_can_name_a_component():
    found = ROUTES.find(b"localhost", None, None, b"/serving/ns/iris-predictor/v2/x")

    assert isinstance(found, Found)
    assert found.route is INNER
    assert found.path(b"/serving/ns/iris-predictor/v2/x") == b"/v2/x"


@pytest.mark.parametrize(
    "path", [b"/serving/", b"/serving/ns", b"/serving/ns/other/", b"/serving//iris"]
)
def test_a_path_that_names_nobody_is_a_miss_that_says_who(path):
    miss = ROUTES.find(b"localhost", None, None, path)

    assert isinstance(miss, Miss)
    assert miss.reason.startswith("the path names")


def test_a_model_names_the_first_service_that_claims_it():
    assert ROUTES.by_model("gemma") is LLM
    assert ROUTES.by_model("iris") is IRIS
    assert ROUTES.by_model("other") is None
    assert ROUTES.models == ("iris", "gemma")


def test_a_route_without_a_revision_is_refused():
    with pytest.raises(ValueError, match="ns/empty has no revision"):
        Routes((route("empty", backends=()),))


def test_no_routes_are_routes_too():
    assert isinstance(Routes().find(b"a", None, None, b"/"), Miss)


@given(
    st.floats(0.0, 1.0, exclude_max=True),
    st.lists(st.floats(0.0, 100.0), min_size=1, max_size=5).filter(any),
)
def test_a_revision_of_no_weight_is_never_chosen(chance, weights):
    keys = [RevisionKey("ns", str(number)) for number in range(len(weights))]
    backends = tuple(zip(keys, weights, strict=True))

    chosen = choose(route("a", backends=backends), chance)

    assert len(weights) == 1 or dict(backends)[chosen] > 0


def test_weights_are_kept_over_evenly_spread_chances():
    canary = route("a", backends=((ONE, 80.0), (TWO, 20.0)))

    chosen = [choose(canary, (n + 0.5) / 200) for n in range(200)]

    assert chosen.count(TWO) == 40


def test_what_rounding_leaves_over_belongs_to_the_last_with_weight():
    tenths = tuple((RevisionKey("ns", str(n)), 0.1) for n in range(10))
    backends = (*tenths, (TWO, 0.0))

    assert choose(route("a", backends=backends), 1.0 - 2**-53) in dict(tenths)
    assert choose(route("a", backends=((ONE, 1.0), (TWO, 0.0))), 1.0) is ONE


def test_a_revision_is_told_of_by_its_components_route_else_its_services_else_itself():
    key, other = RevisionKey("ns", "iris-predictor"), RevisionKey("ns", "plain")
    whole = Route(namespace="ns", service="iris", backends=((key, 100.0),))
    part = replace(whole, component="predictor")

    for routes in ((whole, part), (part, whole)):
        assert Routes(routes).of(key) is part
    assert Routes((whole,)).of(key) is whole
    bare = Routes().of(other)
    assert (bare.namespace, bare.service, bare.backends) == (
        "ns",
        "plain",
        ((other, 100.0),),
    )
