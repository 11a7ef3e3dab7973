"""Who is meant where only the body says so, or nobody does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.answers import Own
from activator.checks import Checks
from activator.core.exchange import Exchange
from activator.core.routes import Routes
from activator.search import Search, Searched
from autoscaler.core.domain import RevisionKey, Route

CHAT = b"/v1/chat/completions"
LLM = Route(
    namespace="ns",
    service="llm",
    hosts=("llm-ns.localhost",),
    models=("llama",),
    backends=((RevisionKey("ns", "llm-predictor-00001"), 100.0),),
)
ROUTES = Routes((LLM,))
MISS = "nothing is served at host x"


def begun(
    exchange: Exchange, bound: int = 1 << 20, searched: Searched | None = None
) -> tuple[Search, Route | Own | None]:
    search = Search(ROUTES, exchange, MISS, bound, searched or Searched(1 << 30))
    return search, search.begin(Checks())


def found(pieces: list[bytes], bound: int = 1 << 20) -> tuple[Route | Own | None, int]:
    """Return what a search in a body of *pieces* finds, and after how many bytes."""
    exchange = Exchange(b"POST", CHAT)
    search, answer = begun(exchange, bound)
    for number, piece in enumerate(pieces, 1):
        if answer is not None:
            break
        exchange.body(piece)
        exchange.complete = number == len(pieces)
        answer = search.go_on()
    return answer, exchange.received


def reason(own: Route | Own | None) -> str:
    assert isinstance(own, Own)
    said = json.loads(own.body)["error"]
    return said if isinstance(said, str) else said["message"]


@given(
    before=st.integers(0, 20_000),
    after=st.integers(0, 20_000),
    cuts=st.lists(st.integers(0, 40_000), max_size=30),
)
def test_the_model_is_found_however_reads_cut_the_body(before, after, cuts):
    body = json.dumps({"a": "x" * before, "model": "llama", "b": "x" * after}).encode()
    ends = sorted({min(cut, len(body)) for cut in cuts} | {len(body)})
    pieces = [body[a:b] for a, b in zip([0, *ends], ends, strict=False)]

    answer, _ = found(pieces)

    assert answer is LLM


@given(before=st.integers(0, 100_000), step=st.integers(100, 10_000))
def test_no_more_than_about_twice_what_it_takes_is_waited_for(before, step):
    body = json.dumps(
        {"a": "x" * before, "model": "llama", "b": "x" * 300_000}
    ).encode()
    pieces = [body[at : at + step] for at in range(0, len(body), step)]

    answer, received = found(pieces)

    assert answer is LLM
    assert received <= max(4096, 2 * (before + 40)) + step


def test_a_body_that_is_here_already_needs_no_waiting():
    exchange = Exchange(b"POST", CHAT)
    exchange.body(b'{"model": "llama"}')
    exchange.complete = True

    assert begun(exchange)[1] is LLM


def test_an_unknown_model_is_told_who_is_known():
    answer, _ = found([b'{"model": "gpt"}'])

    assert isinstance(answer, Own)
    assert answer.status == 404
    assert reason(answer) == "there is no model 'gpt'; served are ns/llm"
    assert len(reason(found([b'{"model": "%b"}' % (b"x" * 5000)])[0])) < 200


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"model": 1}', b"not json", b"\xff\x00"]
)
def test_a_body_without_a_model_is_told_what_was_looked_at(body):
    answer, _ = found([body])

    assert isinstance(answer, Own)
    assert answer.status == 404
    assert reason(answer).startswith(f"{MISS}, and the body has no field `model`; ")


def test_a_body_is_looked_at_to_its_bound_and_no_further():
    pieces = [b'{"a": "', *[b"x" * 1000] * 50, b'", "model": "llama"}']

    answer, received = found(pieces, bound=10_000)

    assert isinstance(answer, Own)
    assert answer.status == 413
    assert "first 10000 bytes" in reason(answer)
    assert received < 11_000


@pytest.mark.parametrize(
    ("method", "target"),
    [
        pytest.param(b"POST", b"/v1/models/iris:predict", id="V1"),
        pytest.param(b"POST", b"/v2/models/iris/infer", id="V2"),
        pytest.param(b"PUT", CHAT, id="not a POST"),
        pytest.param(b"GET", b"/", id="nothing"),
        pytest.param(b"GET", b"/v1/models/gpt", id="a model that is not here"),
    ],
)
def test_what_no_body_can_name_is_answered_at_once(method, target):
    _, answer = begun(Exchange(method, target))

    assert isinstance(answer, Own)
    assert answer.status == 404
    assert reason(answer) == f"{MISS}; served are ns/llm"


@pytest.mark.parametrize("path", [b"/v1/models", b"/v2/health/ready", b"/healthz"])
def test_a_check_of_nobody_is_a_check_of_ourselves(path):
    _, answer = begun(Exchange(b"GET", path))

    assert isinstance(answer, Own)
    assert answer.status == 200


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 500)), max_size=40))
def test_all_that_is_searched_is_bounded_and_what_is_over_counts_no_more(steps):
    searched = Searched(1000)
    searches: dict[int, tuple[Search, Exchange]] = {}
    for who, size in steps:
        if who not in searches:
            exchange = Exchange(b"POST", CHAT)
            search, answer = begun(exchange, searched=searched)
            assert answer is None
            searches[who] = search, exchange
        search, exchange = searches[who]
        exchange.body(b"x" * size)
        answer = search.go_on()
        if answer is not None:
            assert reason(answer).startswith("bodies of 1000 bytes are searched")
            search.close()
            del searches[who]
        assert searched.bytes == sum(each.received for _, each in searches.values())
        assert searched.bytes <= 1000
    for search, _ in searches.values():
        search.close()
    assert searched.bytes == 0
