"""Answers of the activator's own, as JSON in the shape of the protocol asked for."""

from __future__ import annotations

import json
from math import ceil
from typing import Final, NamedTuple

from activator.core.framing import status_line

STOPPING: Final = "this activator is stopping: try again"

_KINDS: Final = {
    400: ("invalid_request_error", "bad_request"),
    404: ("invalid_request_error", "model_not_found"),
    408: ("invalid_request_error", "request_timeout"),
    413: ("invalid_request_error", "request_too_large"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    502: ("server_error", "replica_failed"),
    503: ("server_error", "model_not_available"),
    504: ("server_error", "timeout"),
}
"""`type` and `code` of an OpenAI error; their clients branch on the status first."""


class Own(NamedTuple):
    """An answer that no replica gave."""

    status: int
    body: bytes
    kind: bytes = b"application/json"


def is_openai(path: bytes) -> bool:
    """Say whether *path* is of OpenAI's API, which shares /v1 with KServe's V1.

    >>> is_openai(b"/v1/chat/completions"), is_openai(b"/v1/models/iris:predict")
    (True, False)
    """
    if path.startswith((b"/openai/", b"/v1/")):
        return not path.startswith(b"/v1/models/")
    return False


def error(path: bytes, status: int, reason: str) -> Own:
    """Return what says what went wrong to who asked for *path*.

    >>> error(b"/v2/models/iris/infer", 404, "no such model").body
    b'{"error": "no such model"}'
    """
    if not is_openai(path):
        return Own(status, as_json({"error": reason}))
    kind, code = _KINDS.get(status, ("invalid_request_error", str(status)))
    said = {"message": reason, "type": kind, "param": None, "code": code}
    return Own(status, as_json({"error": said}))


def head(own: Own, lines: bytes, *, stays: bool) -> bytes:
    """Return the head of an answer, with more *lines*."""
    return b"%bContent-Type: %b\r\nContent-Length: %d\r\n%b%b\r\n" % (
        status_line(own.status),
        own.kind,
        len(own.body),
        lines,
        b"" if stays else b"Connection: close\r\n",
    )


def waited(held_s: float) -> bytes:
    """Return the lines that tell a client how long it was held.

    >>> waited(1.4024)
    b'Server-Timing: hold;dur=1402.4\\r\\nX-Fromzero-Cold-Start: 1.402\\r\\n'
    """
    timing = b"Server-Timing: hold;dur=%.1f\r\n" % (held_s * 1000)
    return b"%bX-Fromzero-Cold-Start: %.3f\r\n" % (timing, held_s)


def retry_after(seconds: float) -> bytes:
    """Return the line that says when to come again: whole seconds, at least one."""
    return b"Retry-After: %d\r\n" % max(1, ceil(seconds))


def as_json(value: object) -> bytes:
    """Return *value* as a body."""
    return json.dumps(value).encode()
