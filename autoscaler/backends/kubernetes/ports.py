"""Ports of a Service: which number a target is, and what is spoken there."""

from __future__ import annotations

from collections.abc import Iterable

from autoscaler.backends.kubernetes.facts import Container

_PLAIN = ("", "http", "kubernetes.io/ws", "ws")
"""Values of appProtocol that are HTTP/1.1."""
_OTHERS = ("https", "tls", "tcp", "http2")
"""First words of a port's name, as meshes read them, that are not."""


def resolve(containers: Iterable[Container], target: int | str) -> int:
    """Return the number of a port by number or name; 0: no container names it.

    >>> resolve([Container(name="main", ports=(("http1", 8080),))], "http1")
    8080
    """
    if isinstance(target, int):
        return target
    for container in containers:
        for name, number in container.ports:
            if name == target:
                return number
    return 0


def tunnelled(name: str, app_protocol: str) -> bool:
    """Say whether a port speaks what is only passed on byte by byte.

    >>> tunnelled("grpc-predict", ""), tunnelled("http1", ""), tunnelled("web", "https")
    (True, False, True)
    """
    if app_protocol.lower() not in _PLAIN:
        return True
    if app_protocol:
        return False
    lower = name.lower()
    if "grpc" in lower or "h2c" in lower:
        return True
    return lower.partition("-")[0] in _OTHERS
