"""What a case of the corpus is: bytes, and what must become of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.activator.recorders import Fields, Seen

HOST = b"iris-ns.localhost"
OTHER = b"[::1]"
HOSTS = (HOST, OTHER, b"iris_2.example", b"xn--bcher-kva.example", b"a%20b.example")
"""What the service of the corpus answers to."""

SMUGGLED = b"/smuggled"
SEEN = Seen(host=HOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing that a client says on a connection of its own."""

    name: str
    sent: bytes
    seen: tuple[Seen, ...] = ()
    """The requests in it that replicas get, in order."""
    status: int = 0
    """What answers the rest of it, with which the connection ends; 0: all is well."""
    stays: bool = True
    """Another request may follow."""
    ends: bool = False
    """The client ends its side after it."""
    nginx: bool = True
    """nginx takes such a target; where it does not, it says 400 and asks nobody."""
    fields: Fields | None = None
    """Those of these names that replicas see, in order."""


def refused(name: str, sent: bytes, status: int = 400, before: int = 0) -> Case:
    """Return a case that is answered with *status* after so many plain requests."""
    return Case(name=name, sent=sent, status=status, seen=(SEEN,) * before)


def unfinished(name: str, sent: bytes, status: int = 0) -> Case:
    """Return a case in which the client has gone before the end."""
    return Case(name=name, sent=sent, status=status, ends=True)


def passes(name: str, sent: bytes, *seen: Seen, **more: object) -> Case:
    """Return a case that replicas see as *seen*."""
    return replace(Case(name=name, sent=sent, seen=seen), **more)  # type: ignore[arg-type]


def ask(*lines: bytes, first: bytes = b"GET / HTTP/1.1", host: bytes | None = HOST):
    """Return a request without a body."""
    named = () if host is None else (b"Host: " + host,)
    return b"\r\n".join((first, *named, *lines, b"", b""))


def post(*lines: bytes, body: bytes = b"hello", first: bytes = b"POST / HTTP/1.1"):
    """Return a request with a body that *lines* frame."""
    return ask(*lines, first=first) + body


def chunked(body: bytes, *lines: bytes) -> bytes:
    """Return a request with a body that is in chunks already."""
    return post(b"Transfer-Encoding: chunked", *lines, body=body)


def word(data: bytes) -> str:
    """Return *data* for a name."""
    return ascii(data)[2:-1] or "nothing"
