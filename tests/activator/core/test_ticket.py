from __future__ import annotations

import pytest

from activator.core.ticket import HELD, Endpoint, Reject, Why


@pytest.mark.parametrize(
    ("why", "status"),
    [
        (Why.FULL, 429),
        (Why.BYTES, 429),
        (Why.EXPIRED, 503),
        (Why.REFUSED, 503),
        (Why.GONE, 503),
        (Why.LOST, 502),
    ],
)
def test_too_many_is_for_the_client_to_slow_down_and_all_else_for_the_server(
    why, status
):
    assert Reject(why=why, reason="", retry_after_s=1.0).status == status


@pytest.mark.parametrize(
    ("slots", "in_flight", "vacant"),
    [(-1, 1_000_000, True), (0, 0, False), (2, 1, True), (2, 2, False), (1, 3, False)],
)
def test_an_endpoint_is_vacant_below_its_limit(slots, in_flight, vacant):
    endpoint = Endpoint("r", 0.0)
    endpoint.slots, endpoint.in_flight = slots, in_flight

    assert endpoint.vacant is vacant


def test_endpoints_and_holds_say_what_they_are():
    endpoint = Endpoint("r1", 0.0)
    endpoint.slots, endpoint.in_flight = 4, 3

    assert repr(endpoint) == "Endpoint(r1, 3 of 4)"
    assert repr(HELD) == "HELD"
