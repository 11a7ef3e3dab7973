"""Who only asks how a model is, and who wants something of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.checks import Checks
from activator.core.exchange import Exchange

BROWSER = (
    b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36"
)

agents = st.sampled_from([b"", BROWSER, b"curl/8.9", b"kube-probe/1.31"])
paths = st.sampled_from([b"/", b"/v2", b"/v1/models", b"/v1/models/iris:predict"])


def asked(method: bytes, path: bytes, agent: bytes = b"") -> bool:
    exchange = Exchange(method, path)
    exchange.agent = agent
    return Checks()(exchange, path)


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize(
    "path",
    [
        b"/health", b"/healthz", b"/livez", b"/readyz", b"/ping", b"/metrics",
        b"/v1/models", b"/v1/models/iris", b"/openai/v1/models", b"/openai/v1/models/llm",
        b"/v2", b"/v2/", b"/v2/health/live", b"/v2/health/ready", b"/v2/models",
        b"/v2/models/iris/ready", b"/v2/models/iris/versions/3/ready",
        b"/readyz?verbose", b"/v1/models?limit=2",
    ],
)  # fmt: skip
def test_a_path_that_clients_ask_before_work_is_a_check(method, path):
    assert asked(method, path, BROWSER)


@pytest.mark.parametrize(
    "agent",
    [
        b"kube-probe/1.31",
        b"Prometheus/2.53.0",
        b"ELB-HealthChecker/2.0",
        b"GoogleHC/1.0",
        b"Amazon-Route53-Health-Check-Service (ref 1; report http://x)",
        b"Envoy/HC",
        b"Consul Health Check",
        b"Blackbox Exporter/0.25.0",
        b"Better Uptime Bot Mozilla/5.0 (Macintosh)",
        b"Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
        b"Datadog Agent/7.1",
        b"fromzero-probe",
    ],
)
def test_who_lives_of_checking_checks_whatever_it_asks(agent):
    assert asked(b"GET", b"/", agent)
    assert asked(b"HEAD", b"/any?thing", agent)


@pytest.mark.parametrize(
    "path",
    [
        b"/", b"/v1/models/iris:predict", b"/v1/models/iris/more", b"/v2/models/iris",
        b"/v2/models/iris/infer", b"/v2/models/iris/versions/3/infer", b"/healthy",
        b"/health/all", b"/metrics.json", b"/v1/chat/completions", b"/v2x",
        b"/search?q=/metrics",
    ],
)  # fmt: skip
def test_any_other_path_is_work(path):
    assert not asked(b"GET", path, BROWSER)


@given(
    method=st.sampled_from([b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"get"]),
    path=paths,
    agent=agents,
)
def test_only_who_reads_can_check(method, path, agent):
    assert not asked(method, path, agent)


@given(st.lists(st.tuples(st.sampled_from([b"GET", b"POST"]), paths, agents)))
def test_what_was_asked_before_changes_no_answer(requests):
    check = Checks()

    for method, path, agent in requests * 2:
        exchange = Exchange(method, path)
        exchange.agent = agent
        assert check(exchange, path) == asked(method, path, agent)


def test_who_invents_names_all_the_time_is_still_recognised():
    check = Checks()

    for number in range(3000):
        ready = b"/v2/models/a%d/ready" % number
        assert check(Exchange(b"GET", ready), ready)
        infer = b"/v2/models/a%d/infer" % number
        assert not check(Exchange(b"GET", infer), infer)
    long = b"/v2/models/%b/ready" % (b"a" * 5000)
    assert check(Exchange(b"GET", long), long)
    assert check(Exchange(b"GET", b"/v2"), b"/v2")


def test_the_path_that_counts_is_what_the_model_is_asked():
    """Under /serving/NAMESPACE/SERVICE a target only begins with who is meant."""
    exchange = Exchange(b"GET", b"/serving/ns/iris/v2/health/ready")

    assert Checks()(exchange, b"/v2/health/ready")
    assert not Checks()(exchange, exchange.target)
