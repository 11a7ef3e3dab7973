"""Networks of the tests' own: one outer namespace with a bridge, and hosts on it.

No address of them is ever on the machine's own interfaces.  A namespace has no name;
it lives as long as something holds it: a descriptor here, or a process inside.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)

PODS = ipaddress.ip_network("10.244.0.0/16")
PODS6 = ipaddress.ip_network("fd00:10:244::/64")
GATEWAY, GATEWAY6 = PODS[1], PODS6[1]
"""The outer namespace's own address on the bridge, and every host's router."""
HARDWARE = "02:00:00:00:00:01"
"""The bridge's own; left to itself it has the lowest of its ports', which come and go,
and hosts that had learned another would not reach it for half a minute."""


def refused() -> str:
    """Say why this process cannot make networks, or nothing."""
    if os.geteuid() != 0:
        return "root makes the network namespaces that pods live in"
    try:
        os.close(_make())
    except OSError as error:
        return f"this machine allows no network namespace: {error}"
    return ""


def _call(function: str, *arguments: int) -> None:
    if getattr(LIBC, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


def _here() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _make() -> int:
    """Make a namespace, and return its descriptor; this thread stays where it was."""
    before = _here()
    try:
        _call("unshare", CLONE_NEWNET)
        try:
            return _here()
        finally:
            _call("setns", before, CLONE_NEWNET)
    finally:
        os.close(before)


@contextmanager
def entered(namespace: int) -> Iterator[None]:
    """Put this thread there: its sockets, children and threads to come belong there."""
    before = _here()
    try:
        _call("setns", namespace, CLONE_NEWNET)
        yield
    finally:
        _call("setns", before, CLONE_NEWNET)
        os.close(before)


def ip(*lines: str) -> None:
    """Do each line of *lines* with iproute2, in this thread's namespace."""
    done = subprocess.run(
        ["ip", "-batch", "-"],
        input="\n".join(lines).encode(),
        capture_output=True,
        timeout=30,
        check=False,
    )
    if done.returncode:
        raise OSError(f"ip: {done.stderr.decode().strip()}, of {lines}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A namespace with an address of each family on the bridge: a pod's, or a client's."""

    namespace: int
    ipv4: str
    ipv6: str

    @contextmanager
    def inside(self) -> Iterator[None]:
        with entered(self.namespace):
            yield

    def cut(self, *addresses: str) -> None:
        """Drop everything that this host would send to *addresses*, answers too."""
        with self.inside():
            ip(*(f"route add blackhole {address}" for address in addresses))

    def mend(self, *addresses: str) -> None:
        """Undo :meth:`cut`."""
        with self.inside():
            ip(*(f"route del blackhole {address}" for address in addresses))

    def close(self) -> None:
        """Let go of the namespace, which ends once no process is left in it."""
        os.close(self.namespace)


class Network:
    """The outer namespace, with a bridge that hosts are put on.

    Any thread may ask for hosts and go inside.
    """

    def __init__(self, *services: str) -> None:
        """Make it; *services* are further addresses that the outer namespace has."""
        self._lock = threading.Lock()
        self._last = 255  # The first /24 is left to the outer namespace itself.
        self.namespace = _make()
        with self.inside():
            ip(
                "link set lo up",
                f"link add pods address {HARDWARE} type bridge",
                "link set pods up",
                f"addr add {GATEWAY}/{PODS.prefixlen} dev pods",
                f"addr add {GATEWAY6}/{PODS6.prefixlen} dev pods nodad",
                *(f"addr add {address} dev lo" for address in services),
            )

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Put this thread into the outer namespace; its address there is GATEWAY."""
        with entered(self.namespace):
            yield

    def host(self) -> Host:
        """Make a host with an address that no other has had."""
        with self._lock:
            self._last += 1
            number = self._last
        ipv4, ipv6 = str(PODS[number]), str(PODS6[number])
        namespace = _make()
        port = f"pod{number}"
        try:
            with self.inside():
                ip(
                    f"link add {port} type veth peer name eth0"
                    f" netns /proc/{os.getpid()}/fd/{namespace}",
                    f"link set {port} master pods up",
                )
            with entered(namespace):
                ip(
                    "link set lo up",
                    f"addr add {ipv4}/{PODS.prefixlen} dev eth0",
                    f"addr add {ipv6}/{PODS6.prefixlen} dev eth0 nodad",
                    "link set eth0 up",
                    f"route add default via {GATEWAY}",
                    f"route add default via {GATEWAY6}",
                )
        except BaseException:
            os.close(namespace)
            raise
        return Host(namespace=namespace, ipv4=ipv4, ipv6=ipv6)

    def close(self) -> None:
        """Let go of the outer namespace."""
        os.close(self.namespace)
