from __future__ import annotations

import socket

import pytest

from activator.listening import listen


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_everywhere_is_both_families():
    with listen("*", 0, 8) as sock:
        port = sock.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        socket.create_connection(("::1", port)).close()

        with pytest.raises(OSError, match="in use"):
            listen("127.0.0.1", port, 8)


def test_one_address_is_that_one_alone():
    with listen("127.0.0.1", 0, 8) as sock:
        assert sock.family == socket.AF_INET
        assert sock.getsockname()[0] == "127.0.0.1"
