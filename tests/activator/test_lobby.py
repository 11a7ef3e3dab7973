"""What is said to who asks for nobody, and for who sleeps."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.checks import Checks
from activator.core.exchange import Exchange
from activator.core.routes import Routes
from activator.lobby import at_rest, for_nobody, not_served
from autoscaler.core.domain import RevisionKey, Route


def route(service: str, *models: str, namespace: str = "ns") -> Route:
    key = RevisionKey(namespace, f"{service}-predictor-00001")
    return Route(
        namespace=namespace,
        service=service,
        hosts=(f"{service}-{namespace}.localhost",),
        models=models,
        backends=((key, 100.0),),
    )


IRIS = route("iris", "iris")
LLM = route("llm", "llama", "gemma")
ROUTES = Routes((LLM, IRIS))

names = st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True)
checked = st.sampled_from(
    [
        "/healthz",
        "/v2",
        "/v2/health/live",
        "/v2/models",
        "/v1/models",
        "/v2/models/a/ready",
    ]
) | st.builds("/v1/models/{}".format, names)


def test_the_lists_name_every_model_to_each_kind_of_client():
    for path in (b"/v1/models", b"/openai/v1/models", b"/v1/models/?limit=1"):
        own = for_nobody(ROUTES, path)
        assert own is not None
        said = json.loads(own.body)
        assert said["object"] == "list"
        assert [model["id"] for model in said["data"]] == ["gemma", "iris", "llama"]
        assert said["models"] == ["gemma", "iris", "llama"]
        for model in said["data"]:
            assert model.keys() == {"id", "object", "created", "owned_by"}

    own = for_nobody(ROUTES, b"/v2/models")
    assert own is not None
    assert json.loads(own.body)["models"] == ["gemma", "iris", "llama"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (b"/v2/health/live", {"live": True}),
        (b"/v2/health/ready?a=b", {"ready": True}),
        (b"/healthz", {"status": "ok"}),
        (b"/v2", {"name": "fromzero", "version": "2"}),
        (b"/v2/", {"name": "fromzero", "version": "2"}),
        (b"/v1/models/iris", {"name": "iris", "ready": True, "id": "iris"}),
        (b"/openai/v1/models/llama", {"id": "llama", "object": "model"}),
        (b"/v2/models/iris/ready", {"name": "iris", "ready": True}),
        (b"/v2/models/gemma/versions/1/ready", {"name": "gemma", "ready": True}),
    ],
)
def test_a_check_of_nobody_is_answered_well(path, said):
    own = for_nobody(ROUTES, path)

    assert own is not None
    assert own.status == 200
    assert json.loads(own.body).items() >= said.items()


@pytest.mark.parametrize(
    "path",
    [
        b"/v1/models/no", b"/openai/v1/models/no", b"/v2/models/no/ready",
        b"/v2/models/no/versions/1/ready", b"/metrics", b"/", b"",
    ],
)  # fmt: skip
def test_what_is_not_here_is_not_said_to_be_well(path):
    assert for_nobody(ROUTES, path) is None


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (b"/v1/models", {"models": ["gemma", "llama"]}),
        (b"/v2/models", {"models": ["gemma", "llama"]}),
        (b"/v1/models/llama", {"name": "llama", "ready": True}),
        (b"/v2/models/llama/ready", {"name": "llama", "ready": True}),
        (b"/v2/health/ready", {"ready": True}),
        (b"/any/thing", {"status": "ok"}),
    ],
)
def test_who_sleeps_is_well_and_speaks_for_itself_alone(path, said):
    own = at_rest(LLM, path)

    assert own.status == 200
    assert json.loads(own.body).items() >= said.items()


def test_a_service_without_models_is_listed_under_its_own_name():
    assert json.loads(at_rest(route("x"), b"/v1/models").body)["models"] == ["x"]


def test_who_sleeps_has_no_metrics_and_the_scrape_succeeds():
    own = at_rest(IRIS, b"/metrics")

    assert own.status == 200
    assert own.body == b""
    assert own.kind.startswith(b"text/plain; version=0.0.4")


@given(checked)
def test_each_check_of_who_sleeps_is_answered_with_200_and_json(path):
    raw = path.encode()
    assert Checks()(Exchange(b"GET", raw), raw)

    own = at_rest(IRIS, raw)

    assert own.status == 200
    json.loads(own.body)


@given(st.binary(max_size=60))
def test_no_path_raises(path):
    for_nobody(ROUTES, path)
    at_rest(IRIS, path)
    not_served(ROUTES, path, "no")


@given(st.lists(names, max_size=60, unique=True))
def test_a_404_says_why_and_what_there_is_up_to_twenty(services):
    routes = Routes(route(service) for service in services)

    own = not_served(routes, b"/v2/models/no/infer", "nothing is served at host x")

    assert own.status == 404
    said = json.loads(own.body)["error"]
    assert said.startswith("nothing is served at host x; ")
    shown = [service for service in services if f"ns/{service}" in _named(said)]
    assert len(shown) == min(len(services), 20)
    assert sorted(services)[: len(shown)] == sorted(shown)
    assert said.endswith(" more") == (len(services) > 20)
    assert said.endswith("nothing is served yet") == (not services)


def test_a_404_counts_what_it_does_not_show():
    routes = Routes(route(f"s{number:02}") for number in range(23))

    said = json.loads(not_served(routes, b"/", "no").body)["error"]

    assert said.endswith("ns/s18, ns/s19 and 3 more")


def test_a_service_of_several_components_is_shown_once():
    twice = Routes((IRIS, IRIS))

    said = json.loads(not_served(twice, b"/", "no").body)["error"]

    assert said == "no; served are ns/iris"


def _named(said: str) -> list[str]:
    """Return the names that a 404 shows."""
    _, _, names = said.partition("; served are ")
    return names.split(" and ")[0].split(", ")
