from __future__ import annotations

import pytest

from autoscaler.backends.kubernetes.ports import tunnelled


@pytest.mark.parametrize(
    ("name", "protocol", "tunnel"),
    [
        ("http", "", False),
        ("http1", "", False),
        ("grpc-port", "", True),
        ("h2c", "", True),
        ("https", "", True),
        ("tcp-metrics", "", True),
        ("grpc", "http", False),
        ("http", "kubernetes.io/h2c", True),
        ("http", "grpc", True),
        ("", "kubernetes.io/ws", False),
    ],
)
def test_what_a_port_speaks_is_read_from_protocol_and_name(name, protocol, tunnel):
    assert tunnelled(name, protocol) is tunnel
