"""Whose word on their clients counts, and what is added to it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.core.forwarded import Trust, extension

ADDRESSES = st.ip_addresses(v=4) | st.ip_addresses(v=6)


@given(ADDRESSES)
def test_all_has_everybody_and_none_nobody(address: IPv4Address | IPv6Address):
    peer = str(address).encode()

    assert Trust.read("all").has(peer)
    assert not Trust.read("none").has(peer)


@given(ADDRESSES, st.ip_addresses(v=4), st.integers(0, 32))
def test_a_network_has_its_addresses_and_no_other(address, base, bits):
    network = ip_network((int(base), bits), strict=False)
    trust = Trust.read(f"none, {network}")

    for _ in range(2):
        assert trust.has(str(address).encode()) == (address in network)


@pytest.mark.parametrize(
    ("peer", "near"),
    [
        (b"127.0.0.1", True), (b"10.255.0.1", True), (b"172.31.0.1", True),
        (b"172.32.0.1", False), (b"192.168.7.7", True), (b"100.64.0.1", True),
        (b"8.8.8.8", False), (b"::1", True), (b"fd00::1", True),
        (b"fe80::1%eth0", True), (b"2001:db8::1", False), (b"unknown", False),
        (b"", False), (b"\xff", False),
    ],
)  # fmt: skip
def test_private_has_neighbours(peer, near):
    assert Trust.read("private").has(peer) == near


@pytest.mark.parametrize("text", ["", "nobody", "10.0.0.1/8", "10.0.0.0/33", "a,", "1"])
def test_what_is_no_network_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - whatever its words
        Trust.read(text)


def test_who_is_remembered_is_bounded():
    trust = Trust.read("private")
    for number in range(10_000):
        assert trust.has(b"10.0.%d.%d" % divmod(number, 256))

    assert len(trust._known) <= 4096


def test_forwarded_is_added_to_only_where_there_is_one():
    assert extension([b"forwardED: for=_a"], b"192.0.2.7") == [
        b"Forwarded: for=192.0.2.7;proto=http"
    ]
    assert extension([b"A: b", b"Forwarded-X: c"], b"192.0.2.7") == []
