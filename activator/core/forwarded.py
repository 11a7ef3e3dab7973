"""Who a request was forwarded for: whose word counts, and what is added to it."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

Network = IPv4Network | IPv6Network

_NEAR: Final = (
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
    "100.64.0.0/10", "::1/128", "fc00::/7", "fe80::/10",
)  # fmt: skip
_WORDS: Final = {
    "none": (),
    "private": _NEAR,
    "all": ("0.0.0.0/0", "::/0"),
}
_REMEMBERED: Final = 4096


class Trust:
    """Which peers are proxies whose word on their clients counts.

    >>> trust = Trust.read("private, 203.0.113.0/24")
    >>> trust.has(b"10.1.2.3"), trust.has(b"203.0.113.9"), trust.has(b"198.51.100.1")
    (True, True, False)
    """

    __slots__ = ("_known", "_networks", "text")

    def __init__(self, text: str, networks: Iterable[Network]) -> None:
        self.text = text
        self._networks = tuple(networks)
        self._known: dict[bytes, bool] = {}

    @classmethod
    def read(cls, text: str) -> Trust:
        """Return what a list of networks and words means; ValueError: not one."""
        said = [each.strip() for each in text.split(",")]
        named = [one for each in said for one in _WORDS.get(each, (each,))]
        return cls(text, [ip_network(each) for each in named])

    def has(self, peer: bytes) -> bool:
        """Say whether *peer*, an address, is one; looked up once for each peer."""
        known = self._known.get(peer)
        if known is None:
            known = self._find(peer)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[peer] = known
        return known

    def _find(self, peer: bytes) -> bool:
        try:
            address = ip_address(peer.partition(b"%")[0].decode("ascii", "replace"))
        except ValueError:
            return False
        return any(address in network for network in self._networks)


def extension(lines: Iterable[bytes], peer: bytes) -> list[bytes]:
    """Return what is added to a Forwarded field, if *lines* have one (RFC 7239).

    >>> extension([b"A: b", b"Forwarded: for=192.0.2.1"], b"2001:db8::1")
    [b'Forwarded: for="[2001:db8::1]";proto=http']
    """
    if not any(line[:10].lower() == b"forwarded:" for line in lines):
        return []
    node = b'"[%b]"' % peer if b":" in peer else peer
    return [b"Forwarded: for=%b;proto=http" % node]
