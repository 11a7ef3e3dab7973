"""Namespaces that tests make: who can reach whom, and that nothing stays behind."""

from __future__ import annotations

import os
import socket
import subprocess

import pytest

from tests.kube.network import GATEWAY, GATEWAY6, Network, refused

pytestmark = pytest.mark.skipif(bool(refused()), reason=refused())


@pytest.fixture
def network():
    network = Network()
    yield network
    network.close()


def addresses() -> str:
    command = ["ip", "-br", "addr"]
    return subprocess.run(command, capture_output=True, check=True).stdout.decode()


def test_hosts_reach_each_other_by_both_families(network):
    one, two = network.host(), network.host()

    for family, address in ((socket.AF_INET, two.ipv4), (socket.AF_INET6, two.ipv6)):
        with two.inside():
            listener = socket.socket(family)
            listener.bind((address, 0))
            listener.listen()
        with one.inside(), socket.socket(family) as client:
            client.settimeout(10)
            client.connect((address, listener.getsockname()[1]))
        peer, there = listener.accept()

        assert there[0] == (one.ipv4 if family is socket.AF_INET else one.ipv6)
        peer.close()
        listener.close()
    one.close()
    two.close()


def test_the_outer_namespace_reaches_hosts_as_the_gateway(network):
    host = network.host()
    with host.inside():
        listener = socket.create_server((host.ipv4, 0))

    with network.inside(), socket.create_connection(listener.getsockname(), 10):
        peer, there = listener.accept()

    assert there[0] == str(GATEWAY)
    peer.close()
    listener.close()
    host.close()


def test_what_is_cut_reaches_the_other_no_more_until_it_is_mended(network):
    host = network.host()
    with host.inside():
        listener = socket.create_server((host.ipv4, 0))

    host.cut(str(GATEWAY), str(GATEWAY6))
    with network.inside(), pytest.raises(TimeoutError):
        socket.create_connection(listener.getsockname(), 0.2)
    host.mend(str(GATEWAY), str(GATEWAY6))
    with network.inside():
        socket.create_connection(listener.getsockname(), 10).close()

    listener.close()
    host.close()


def test_the_machines_own_interfaces_are_as_before(network):
    before = addresses()

    host = network.host()
    with network.inside():
        within = addresses()

    assert addresses() == before
    assert str(GATEWAY) in within
    host.close()


def test_a_thread_is_back_where_it_was_after_an_error(network):
    before = os.readlink("/proc/thread-self/ns/net")

    with pytest.raises(ValueError, match="mine"), network.inside():
        raise ValueError("mine")

    assert os.readlink("/proc/thread-self/ns/net") == before
