from __future__ import annotations

from prometheus_client import Counter, generate_latest

from fromzero.registry import new_registry


def test_a_counter_is_one_series():
    registry = new_registry()
    Counter("fromzero_things", "Things.", registry=registry).inc()

    lines = generate_latest(registry).decode().splitlines()

    assert [each for each in lines if not each.startswith("#")] == [
        "fromzero_things_total 1.0"
    ]


def test_each_program_has_its_own():
    Counter("fromzero_things", "Things.", registry=new_registry())
    Counter("fromzero_things", "Things.", registry=new_registry())
