"""One line of an access log: as JSON, or as web servers have it (combined).

Almost all of it was said by strangers: none of that forges a line, makes it long, or is
a secret as far as its name tells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final

from activator.core.exchange import Exchange

LONGEST: Final = 2048
"""Bytes of one value that are shown, before any is escaped."""
LEFT: Final = 499
"""What nginx calls the status of a request whose client did not wait for one."""

Reply = tuple[int, bytes, int, int]
"""Status, outcome, and bytes of body that were sent and received."""
Course = tuple[bytes, bytes, int, bytes, bytes, bytes, float]
"""What `whose` returns, replica, retries, seconds held, of connecting, and to the first
byte (null: none came), and of all of it."""
Form = Callable[[bytes, bytes, Exchange, Reply, Course], bytes]
"""Make a line of time, client, request, reply and course."""

NOBODY: Final = b'"namespace":"","revision":""'
_USUAL: Final = 1024
"""Values that are no longer all together are not looked at one by one."""
# Not ? and @, which begin what may have to be hidden.
_PLAIN: Final = bytes(set(range(0x20, 0x7F)) - set(b'"\\?@'))
_ODD: Final = re.compile(rb'["\\\x00-\x1f\x7f-\xff]')
_USER: Final = re.compile(rb"://[^/?#@]*@")
_PARAMETER: Final = re.compile(rb"([?&;])([^=&;#?]*)=[^&;#]+")
_SECRET: Final = re.compile(
    rb"key|token|secret|passw|pwd|auth|credential|sig|code", re.IGNORECASE
)
_REFERER: Final = b"referer: "
_REQUEST_ID: Final = b"x-request-id: "
_PARENT: Final = b"traceparent: "
_R: Final = ord("r")
_X: Final = ord("x")
_T: Final = ord("t")
_LOWER: Final = 0x20
"""What a letter in lower case has more."""
_TRACE: Final = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")

_JSON: Final = (
    b'{"time":"%b","client":"%b","method":"%b","target":"%b","protocol":"%b",'
    b'"host":"%b","referer":"%b","user_agent":"%b","request_id":"%b","trace_id":"%b",'
    b'"status":%d,"outcome":"%b","bytes_sent":%d,"bytes_received":%d,%b,'
    b'"replica":"%b","retries":%d,"hold_s":%b,"connect_s":%b,"first_byte_s":%b,'
    b'"duration_s":%.6f}\n'
)


def as_json(
    at: bytes, client: bytes, exchange: Exchange, reply: Reply, course: Course
) -> bytes:
    """Return an object in one line; *at* as RFC 3339 has it."""
    method, target, host = exchange.method, exchange.target, exchange.host
    agent, protocol = exchange.agent, _protocol(exchange)
    referer, request_id, trace = _noted(exchange.lines)
    said = b"".join((client, method, target, host, referer, agent, request_id))
    if len(said) > _USUAL or said.translate(None, _PLAIN):
        client, method, host = _text(client), _text(method), _text(host)
        target, referer = _text(hidden(target)), _text(hidden(referer))
        agent, request_id = _text(agent), _text(request_id)
    asked = (client, method, target, protocol, host, referer, agent, request_id, trace)
    return _JSON % (at, *asked, *reply, *course)


def as_combined(
    at: bytes, client: bytes, exchange: Exchange, reply: Reply, course: Course
) -> bytes:
    """Return a line as Apache and nginx write it; *at* as they do."""
    line = exchange.target
    if exchange.method:
        line = b"%b %b %b" % (exchange.method, line, _protocol(exchange))
    agent = exchange.agent
    referer, _, _ = _noted(exchange.lines)
    said = b"".join((client, line, referer, agent))
    if len(said) > _USUAL or said.translate(None, _PLAIN):
        line = b"%b %b %b" % (
            _bytes(exchange.method),
            _bytes(hidden(exchange.target)),
            _protocol(exchange),
        )
        client, referer, agent = _bytes(client), _bytes(hidden(referer)), _bytes(agent)
    status, _, sent, _ = reply
    return b'%b - - [%b] "%b" %d %d "%b" "%b"\n' % (
        client, at, line.strip() or b"-", status, sent, referer or b"-", agent or b"-"
    )  # fmt: skip


def whose(namespace: str, revision: str) -> bytes:
    """Return the part of a JSON line that says which revision's request it was.

    >>> whose("ns", "iris")
    b'"namespace":"ns","revision":"iris"'
    """
    names = _text(namespace.encode()), _text(revision.encode())
    return b'"namespace":"%b","revision":"%b"' % names


def asked_by(said: bytes) -> Exchange:
    """Return a request of which the head could not be read, as far as it can be told.

    A first line that is none is not shown: it may be a field, with a secret in it.

    >>> asked_by(b"GET /a HTTP/3\\r\\nX: y").target, asked_by(b"Cookie: a=b").target
    (b'/a', b'')
    """
    line = said[: 2 * LONGEST].lstrip(b"\r\n").split(b"\r", 1)[0].split(b"\n", 1)[0]
    method, _, rest = line.partition(b" ")
    if not (method.isalpha() and method.isupper()):
        return Exchange(b"", b"")
    return Exchange(method, rest.partition(b" ")[0])


def hidden(url: bytes) -> bytes:
    """Return a target or URL without what looks like a secret.

    >>> hidden(b"/a?api_key=s3cret&b=2;TOKEN=x#c")
    b'/a?api_key=***&b=2;TOKEN=***#c'
    >>> hidden(b"http://me:pass@host/")
    b'http://***@host/'
    """
    return _PARAMETER.sub(_hide, _USER.sub(b"://***@", cut(url)))


def cut(value: bytes) -> bytes:
    """Return as much of *value* as is shown, and how much more there was.

    >>> cut(b"a" * 2050)[-9:]
    b'aaaa...+2'
    """
    more = len(value) - LONGEST
    return value if more <= 0 else b"%b...+%d" % (value[:LONGEST], more)


def trace_of(traceparent: bytes) -> bytes:
    """Return the id of a trace, as W3C's Trace Context has it; nothing if it is none.

    >>> trace_of(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    b'0af7651916cd43dd8448eb211c80319c'
    """
    found = _TRACE.fullmatch(traceparent)
    return b"" if found is None else found[1]


def _noted(lines: list[bytes]) -> tuple[bytes, bytes, bytes]:
    """Return the first Referer, X-Request-Id and id of a trace among *lines*."""
    referer = request_id = parent = b""
    for line in lines:
        first = line[0] | _LOWER
        if first == _X and line[:14].lower() == _REQUEST_ID:
            request_id = request_id or line[14:]
        elif first == _R and line[:9].lower() == _REFERER:
            referer = referer or line[9:]
        elif first == _T and line[:13].lower() == _PARENT:
            parent = parent or line[13:]
    return referer, request_id, trace_of(parent) if parent else b""


def _protocol(exchange: Exchange) -> bytes:
    if not exchange.method:
        return b""
    return b"HTTP/1.0" if exchange.old else b"HTTP/1.1"


def _hide(found: re.Match[bytes]) -> bytes:
    if _SECRET.search(found[2]) is None:
        return found[0]
    return b"%b%b=***" % (found[1], found[2])


def _text(value: bytes) -> bytes:
    """Return what stands for *value* between JSON's quotes; bytes that are no UTF-8 as
    a backslash, x and two digits."""
    text = cut(value).decode("utf-8", "backslashreplace")
    # The one control character that json leaves as it is.
    return json.dumps(text)[1:-1].replace("\x7f", "\\u007f").encode()


def _bytes(value: bytes) -> bytes:
    r"""Return *value* as nginx shows it: \xXX for what is not plain."""
    return _ODD.sub(lambda found: b"\\x%02X" % ord(found[0]), cut(value))
