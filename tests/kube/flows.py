"""Who opened a TCP connection to whom, or asked for a name, seen between the pods.

The kernel's own packet filter picks the first segment of each connection, so that all
others cost next to nothing.
"""

from __future__ import annotations

import ctypes
import ipaddress
import select
import selectors
import socket
import struct
import threading
from typing import NamedTuple, Self

from tests.kube.network import Network

ALL_FRAMES = 3
SO_ATTACH_FILTER = 26
ETHERNET, IPV4, IPV6, TCP, UDP = 14, 0x0800, 0x86DD, 6, 17
DNS = 53
SYN, SYN_OR_ACK = 0x02, 0x12
HALF, BYTE, INDEXED, HEAD_LENGTH = 0x28, 0x30, 0x50, 0xB1
INDEXED_HALF = 0x48
EQUAL, AND, RETURN = 0x15, 0x54, 0x06
WHOLE = 0x40000

Step = tuple[int, int, int, int]


class Flow(NamedTuple):
    """The beginning of a connection."""

    source: str
    target: str
    port: int
    protocol: str = "TCP"


def questions() -> bytes:
    """Return the filter that lets questions for names through, by UDP on IPv4."""
    return _assembled(
        [
            *((HALF, 12), (EQUAL, IPV4)),
            *((BYTE, ETHERNET + 9), (EQUAL, UDP)),
            *((HEAD_LENGTH, ETHERNET), (INDEXED_HALF, ETHERNET + 2), (EQUAL, DNS)),
            *((RETURN, WHOLE), (RETURN, 0)),
        ]
    )


def program(kind: int) -> bytes:
    """Return the filter that lets the first segments of one family through."""
    if kind == IPV4:
        protocol = ETHERNET + 9
        flags = [(HEAD_LENGTH, ETHERNET), (INDEXED, ETHERNET + 13)]
    else:
        protocol = ETHERNET + 6
        flags = [(BYTE, ETHERNET + 40 + 13)]
    steps = [
        *((HALF, 12), (EQUAL, kind)),
        *((BYTE, protocol), (EQUAL, TCP)),
        *(*flags, (AND, SYN_OR_ACK), (EQUAL, SYN)),
        *((RETURN, WHOLE), (RETURN, 0)),
    ]
    return _assembled(steps)


def _assembled(steps: list[tuple[int, int]]) -> bytes:
    last = len(steps) - 1
    # What is not equal goes on at the last step, which lets nothing through.
    return b"".join(
        struct.pack("HBBI", code, 0, last - at - 1 if code == EQUAL else 0, value)
        for at, (code, value) in enumerate(steps)
    )


def parsed(frame: bytes) -> Flow:
    """Return what a frame that passed the filter begins."""
    (kind,) = struct.unpack_from("!H", frame, 12)
    size, first = (4, 12) if kind == IPV4 else (16, 8)
    length = (frame[ETHERNET] & 0xF) * 4 if kind == IPV4 else 40
    start = ETHERNET + first
    ends = (frame[at : at + size] for at in (start, start + size))
    source, target = (str(ipaddress.ip_address(each)) for each in ends)
    _, port = struct.unpack_from("!HH", frame, ETHERNET + length)
    asks = kind == IPV4 and frame[ETHERNET + 9] == UDP
    return Flow(source, target, port, "UDP" if asks else "TCP")


class Flows:
    """Listens from ``with`` on; *seen* grows until its end."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.seen: set[Flow] = set()

    def __enter__(self) -> Self:
        with self._network.inside():
            self._taps = [
                tap(each) for each in (program(IPV4), program(IPV6), questions())
            ]
        self._ours, self._theirs = socket.socketpair()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ours.close()
        self._thread.join()
        for each in (*self._taps, self._theirs):
            each.close()

    def _listen(self) -> None:
        with selectors.DefaultSelector() as selector:
            for each in (*self._taps, self._theirs):
                selector.register(each, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                for each in self._taps:
                    if each in ready:
                        self.seen.add(parsed(each.recv(256)))
                # What was on its way when the end was asked for still counts.
                if ready == [self._theirs]:
                    return


def tap(filter_: bytes) -> socket.socket:
    """Return a socket that hears every frame of this namespace that passes."""
    code = ctypes.create_string_buffer(filter_)
    count = (len(code) - 1) // 8
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_FRAMES))
    filtering = struct.pack("HP", count, ctypes.addressof(code))
    made.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filtering)
    # What came before the filter has not passed it.
    while selectable(made):
        made.recv(1)
    return made


def selectable(tapped: socket.socket) -> bool:
    """Say whether a frame is there to be read."""
    return bool(select.select([tapped], [], [], 0)[0])
