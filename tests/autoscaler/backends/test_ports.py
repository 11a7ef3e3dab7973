"""Ports and GPUs: each is one holder's at a time."""

from __future__ import annotations

import socket

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.ports import Devices, Ports, is_free

ORDERS = st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), max_size=60)


@given(ORDERS, st.integers(0, 1 << 16))
def test_no_port_has_two_holders(orders, offset):
    ports = Ports(offset=offset, free=lambda port: port % 3 > 0)
    held: dict[int, str] = {}
    for holder, takes in orders:
        if takes:
            port = ports.take(holder)
            assert port not in held
            assert port % 3 > 0
            held[port] = holder
        else:
            ports.give_back(holder)
            held = {port: who for port, who in held.items() if who != holder}


def test_a_port_just_given_back_is_not_the_next_to_be_given():
    ports = Ports(offset=0, free=lambda port: True)
    first = ports.take("a")
    ports.give_back("a")

    assert ports.take("b") != first


def test_when_none_is_free_there_is_none():
    assert Ports(offset=0, free=lambda port: False).take("a") == 0


def test_all_but_one_may_be_given_back():
    ports = Ports(offset=0, free=lambda port: True)
    first, second = ports.take("a"), ports.take("a")
    ports.give_back("a", but=second)

    assert ports.take_this(first, "b") == ""
    assert ports.take_this(second, "b") == "a"


def test_a_port_that_is_asked_for_is_given_or_its_holder_named():
    ports = Ports(offset=0, free=lambda port: port != 81)

    assert ports.take_this(80, "a") == ""
    assert ports.take_this(80, "b") == "a"
    assert ports.take_this(81, "b") == "another program"


def test_a_port_is_free_unless_somebody_listens_on_any_address_of_it():
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0")):
        with socket.socket(family) as server:
            server.bind((address, 0))
            server.listen()
            port = server.getsockname()[1]
            assert not is_free(port)
        assert is_free(port)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4)), max_size=30))
def test_no_device_has_two_holders_and_none_is_lost(orders):
    devices = Devices(("0", "1", "2", "3"))
    held: dict[str, set[str]] = {}
    for holder, count in orders:
        taken = devices.take(count, holder)
        free = 4 - sum(map(len, held.values()))
        if taken is None:
            assert free < count
            devices.give_back(holder)
            held.pop(holder, None)
        else:
            assert len(taken) == count
            assert not any(set(taken) & theirs for theirs in held.values())
            held.setdefault(holder, set()).update(taken)
    assert len(devices) == 4
