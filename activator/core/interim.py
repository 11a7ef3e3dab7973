"""Answers before the last: early hints and the like."""

from __future__ import annotations

from collections.abc import Sequence

from activator.core.fields import ANSWER, CODING, LENGTH, Field, lines
from activator.core.framing import Fault, length_of, status_line


def interim(status: int, fields: Sequence[Field], *, old: bool) -> bytes | Fault:
    r"""Write an answer that is not the last: passed on, or dropped as nothing.

    100 Continue is the activator's own to say; HTTP/1.0, which is *old*, knows none.
    None has a body (RFC 9112 §6.3), though the parser would read one.

    >>> interim(103, [(b"Link", b"</a>")], old=False)
    b'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'
    """
    if status < 100:
        return Fault(502, f"status {status}")
    for name, value in fields:
        what = ANSWER[name]
        if what == CODING or (what == LENGTH and length_of(value) != 0):
            return Fault(502, f"a body of an answer with status {status}")
    if status == 100 or old:
        return b""
    return b"%b%b\r\n" % (status_line(status), lines(fields, ANSWER))
