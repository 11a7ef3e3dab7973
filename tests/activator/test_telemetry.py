"""What is counted is what is scraped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from activator.core.switchboard import Limits, Switchboard
from activator.core.ticket import HELD, Ticket
from activator.telemetry import FIRST_BYTE_S, HOLD_S, Counts, Durations, Telemetry
from autoscaler.core.domain import GateSpec, Probe, RevisionKey
from autoscaler.core.messages import Address, View

KEY = RevisionKey("ns", "iris-predictor-00001")
LABELS = {"namespace": "ns", "revision": KEY.name}


def telemetry(
    board: Switchboard | None = None, connections: int = 0
) -> tuple[Telemetry, CollectorRegistry]:
    board = board or Switchboard(name="a", limits=Limits(), now=0.0)
    registry = CollectorRegistry()
    return Telemetry(registry, board.gate, lambda: connections), registry


@given(st.lists(st.floats(0.0, 1000.0) | st.sampled_from(HOLD_S), max_size=50))
def test_each_bucket_counts_what_took_no_longer(took):
    durations = Durations(HOLD_S)
    for seconds in took:
        durations.add(seconds)

    *bounded, last = durations.buckets

    assert [float(bound) for bound, _ in bounded] == list(HOLD_S)
    for bound, count in bounded:
        assert count == sum(seconds <= float(bound) for seconds in took)
    assert last == ("+Inf", len(took))
    assert durations.sum_s == pytest.approx(sum(took))


@given(
    st.lists(st.sampled_from([0, 101, 200, 204, 304, 404, 429, 502, 599]), max_size=40)
)
def test_requests_are_counted_by_the_class_of_their_status(statuses):
    counted, registry = telemetry()
    for status in statuses:
        counted.counts(KEY).codes[status // 100] += 1

    for first, code in enumerate(["left", "1xx", "2xx", "3xx", "4xx", "5xx"]):
        value = registry.get_sample_value(
            "fromzero_activator_requests_total", {**LABELS, "code": code}
        )
        assert (value or 0) == sum(status // 100 == first for status in statuses)


def test_buckets_fit_cold_starts_of_minutes_and_tokens_of_milliseconds():
    for phase in Counts().phases:
        bounds = [float(bound) for bound, _ in phase.buckets]
        assert bounds == sorted(set(bounds))

    bounds = {
        name: [float(bound) for bound, _ in getattr(Counts(), name).buckets[:-1]]
        for name in ("holds", "first_byte", "replica_first_byte", "bodies")
    }
    assert bounds["holds"][-1] >= 600.0
    assert bounds["first_byte"][0] <= 0.001
    assert bounds["replica_first_byte"] == bounds["first_byte"] == list(FIRST_BYTE_S)
    assert bounds["bodies"][-1] >= 1800.0


def test_each_phase_is_a_histogram_of_its_own():
    counted, registry = telemetry()
    counts = counted.counts(KEY)
    names = ("hold", "connect", "replica_first_byte", "first_byte", "body")
    for number, durations in enumerate(counts.phases):
        for _ in range(number):
            durations.add(2.0 * number)

    for number, name in enumerate(names):
        metric = f"fromzero_activator_{name}_seconds"
        assert registry.get_sample_value(f"{metric}_count", LABELS) == number
        assert registry.get_sample_value(f"{metric}_sum", LABELS) == 2.0 * number**2


def test_held_and_in_flight_are_the_gates_own():
    board = Switchboard(name="a", limits=Limits(), now=0.0)
    here = Address(replica="r", host="127.0.0.1", port=1, slots=1)
    board.update(
        View(key=KEY, version=1, epoch=0, gate=GateSpec(container_concurrency=1),
             probe=Probe(), addresses=(here,)),
        0.0,
    )  # fmt: skip
    board.ready(KEY, "r", 0.0)
    gate = board.gate(KEY)
    assert gate is not None
    counted, registry = telemetry(board)
    counted.counts(KEY)

    answers = [board.arrive(gate, Ticket(n), 0, 0.5, 0.0) for n in range(4)]

    assert answers == [gate.endpoints["r"], HELD, HELD, HELD]
    held = registry.get_sample_value("fromzero_activator_held_requests", LABELS)
    flying = registry.get_sample_value("fromzero_activator_in_flight_requests", LABELS)
    assert (held, flying) == (3.0, 1.0)


def test_a_revision_that_was_forgotten_leaves_no_series():
    counted, registry = telemetry()
    counted.counts(KEY).retries += 1
    assert registry.get_sample_value("fromzero_activator_retries_total", LABELS) == 1.0

    counted.forget(KEY)
    counted.forget(KEY)

    assert KEY.name.encode() not in generate_latest(registry)


def test_what_is_counted_between_two_scrapes_is_in_the_second():
    counted, registry = telemetry(connections=3)
    counts = counted.counts(KEY)
    assert counted.counts(KEY) is counts
    counts.holds.add(0.2)
    counts.first_byte.add(0.3)
    counted.own[404] += 2

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"fromzero_activator_{name}", labels)

    assert value("hold_seconds_count", **LABELS) == 1.0
    assert value("hold_seconds_sum", **LABELS) == 0.2
    assert value("hold_seconds_bucket", **LABELS, le="0.1") == 0.0
    assert value("hold_seconds_bucket", **LABELS, le="0.25") == 1.0
    assert value("first_byte_seconds_count", **LABELS) == 1.0
    assert value("own_answers_total", status="404") == 2.0
    assert value("connections") == 3.0

    counts.holds.add(7.0)
    counted.own[404] += 1

    assert value("hold_seconds_count", **LABELS) == 2.0
    assert value("own_answers_total", status="404") == 3.0


def test_the_families_are_the_same_before_the_first_request_and_after():
    counted, registry = telemetry()
    before = {family.name for family in counted.describe()}

    counted.counts(KEY).codes[2] += 1
    text = generate_latest(registry).decode()

    assert {family.name for family in text_string_to_metric_families(text)} == before


def test_two_activators_cannot_be_counted_in_one_registry_by_mistake():
    board = Switchboard(name="a", limits=Limits(), now=0.0)
    registry = CollectorRegistry()
    Telemetry(registry, board.gate, int)

    with pytest.raises(ValueError, match="Duplicated timeseries"):
        Telemetry(registry, board.gate, int)
