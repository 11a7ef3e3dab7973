"""What the API server answers: objects, lines of a watch, refusals."""

from __future__ import annotations

import json
from typing import Any

from autoscaler.errors import AutoscalerError

UNREACHABLE = "Unreachable"
"""Reason of an error that is not the server's answer; its status is 0."""
UNAUTHORIZED, NOT_FOUND, CONFLICT, GONE = 401, 404, 409, 410

TOO_LARGE = "TooLarge"
"""Reason of an error, of status 0 as well, where so much was answered."""

LARGEST = 8 << 20
"""Bytes of an answer, or of a watch's line; etcd keeps objects of 1.5 MiB, and JSON is
longer."""
_LONG_S = 3600  # No server asks for longer.
_MESSAGE = 1_000  # Characters of an answer that is no Status.


class ApiError(AutoscalerError):
    """A call that the API server refused, or that did not reach it (status 0)."""

    def __init__(
        self, status: int, reason: str, message: str, retry_after_s: float = 0.0
    ) -> None:
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after_s = retry_after_s
        """0: the server did not ask to wait."""
        super().__init__(f"{status} {reason}: {message}" if status else message)


def words(error: BaseException) -> str:
    """Return what *error* says, or its kind: a timeout says nothing."""
    return str(error) or type(error).__name__


def refused(data: bytes, status: int, retry_after: str | None = None) -> ApiError:
    """Return the error that an answer, a Status if all is well, says."""
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        said = {"message": data.decode(errors="replace")[:_MESSAGE]}
    details = said.get("details")
    later = details.get("retryAfterSeconds") if isinstance(details, dict) else None
    if retry_after is not None and retry_after.isdecimal():
        later = int(retry_after)
    return ApiError(
        status,
        str(said.get("reason") or ""),
        str(said.get("message") or "without a word"),
        float(later) if isinstance(later, int) and 0 < later < _LONG_S else 0.0,
    )


def parsed(data: bytes) -> dict[str, Any]:
    """Return an answer's object; ApiError: it is none."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ApiError(0, UNREACHABLE, f"an answer that is no JSON: {error}") from error
    if not isinstance(found, dict):
        kind = type(found).__name__
        raise ApiError(0, UNREACHABLE, f"an answer is {kind}, must be an object")
    return found


def event(line: bytes) -> dict[str, Any]:
    """Return a line of a watch; ApiError: it says that the watch has failed."""
    found = parsed(line)
    if found.get("type") == "ERROR":
        status = found.get("object")
        code = status.get("code") if isinstance(status, dict) else None
        raise refused(
            json.dumps(status).encode(), code if isinstance(code, int) else 500
        )
    return found


def too_large(what: str, size: int) -> ApiError:
    """Return the error of what has *size* bytes already."""
    return ApiError(0, TOO_LARGE, f"{what} of {size} bytes, must be at most {LARGEST}")


class Lines:
    """Cut a stream into lines; ApiError: one is too long, or the last has no end."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that *chunk* ends."""
        first, *others = chunk.split(b"\n")
        whole = []
        self._add(first)
        for other in others:
            if line := b"".join(self._parts).strip():
                whole.append(line)
            self._parts, self._size = [], 0
            self._add(other)
        return whole

    def end(self) -> None:
        """Know that nothing follows."""
        if self._size:
            raise ApiError(
                0, UNREACHABLE, "the stream broke off in the middle of a line"
            )

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > LARGEST:
            raise too_large("a line", self._size)
        if part:
            self._parts.append(part)
