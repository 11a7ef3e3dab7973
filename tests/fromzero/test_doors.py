from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from autoscaler.errors import BadInput
from fromzero.config import Settings
from fromzero.doors import from_here, opened

ANY = Settings(port=0, host="127.0.0.1", admin_port=0)


def test_both_ports_listen_before_anything_is_started():
    with opened(ANY) as doors:
        for each in (doors.activator, doors.administration):
            host, _, port = each.rpartition(":")
            socket.create_connection((host, int(port))).close()


def test_they_are_closed_afterwards():
    with opened(ANY) as doors:
        host, port = doors.data.getsockname()

    socket.create_server((host, port)).close()


def test_a_port_in_use_is_said_with_what_to_do():
    with opened(ANY) as first:
        port = first.admin.getsockname()[1]

        with pytest.raises(BadInput) as bad, opened(replace(ANY, admin_port=port)):
            pass

    assert str(bad.value) == (
        f"admin-port = {port}, is in use: stop what uses it, or give another with "
        "--admin-port"
    )


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_a_host_that_is_not_this_machine_is_said(host):
    with pytest.raises(BadInput, match=f"host = {host}, is no address of this"):
        opened(replace(ANY, host=host)).__enter__()


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", "localhost"])
def test_replicas_are_told_an_address_that_they_can_reach(host):
    with opened(replace(ANY, host=host)) as doors:
        assert doors.activator.startswith("127.0.0.1:")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="there is no IPv6 here")
def test_everywhere_is_both_families():
    with opened(replace(ANY, host="*")) as doors:
        port = doors.data.getsockname()[1]

        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port)).close()


@pytest.mark.parametrize(
    ("host", "reached"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("[::1]", "::1"), ("box", "box")],
)
def test_what_listens_everywhere_is_reached_on_loopback(host, reached):
    assert from_here(host) == reached
