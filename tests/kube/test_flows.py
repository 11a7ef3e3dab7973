"""Connections between hosts of the tests' network, as they are seen on the wire."""

from __future__ import annotations

import socket

import pytest

from tests.kube.flows import Flow, Flows
from tests.kube.network import GATEWAY, Network, refused

pytestmark = pytest.mark.skipif(bool(refused()), reason=refused())


@pytest.fixture
def network():
    network = Network()
    yield network
    network.close()


def test_a_connection_is_seen_once_with_who_to_whom_and_the_port(network):
    one, two = network.host(), network.host()
    wanted = set()

    with Flows(network) as flows:
        for family, source, target in (
            (socket.AF_INET, one.ipv4, two.ipv4),
            (socket.AF_INET6, one.ipv6, two.ipv6),
        ):
            with two.inside():
                listener = socket.create_server((target, 0), family=family)
            port = listener.getsockname()[1]
            with one.inside():
                client = socket.create_connection((target, port), 10)
            peer, _ = listener.accept()
            client.sendall(b"more than its beginning")
            assert peer.recv(100)
            for each in (client, peer, listener):
                each.close()
            wanted.add(Flow(source, target, port))

    assert flows.seen == wanted
    one.close()
    two.close()


def test_one_that_is_refused_is_seen_as_well(network):
    one = network.host()

    with (
        Flows(network) as flows,
        network.inside(),
        pytest.raises(OSError, match="refused"),
    ):
        socket.create_connection((one.ipv4, 9), 10)

    assert flows.seen == {Flow(str(GATEWAY), one.ipv4, 9)}
    one.close()


def test_a_question_for_a_name_is_seen_and_no_other_datagram(network):
    one = network.host()

    with (
        Flows(network) as flows,
        one.inside(),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asks,
    ):
        for port in (53, 54):
            asks.sendto(b"who?", (str(GATEWAY), port))

    assert flows.seen == {Flow(one.ipv4, str(GATEWAY), 53, "UDP")}
    one.close()
