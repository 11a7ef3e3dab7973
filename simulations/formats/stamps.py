"""Dates and times, as they are written in traces."""

from __future__ import annotations

from calendar import monthrange, timegm

from simulations.formats.reader import RuleError


class Stamps:
    """Times as `2023-11-16 18:17:03.9799600`, in UTC, to seconds since 1970.

    >>> Stamps()("2024-05-10 00:00:10") - Stamps()("2024-05-09T23:59:59.5")
    10.5
    """

    def __init__(self) -> None:
        self._minute = ""
        self._seconds = 0.0

    def __call__(self, text: str) -> float:
        """Return the seconds; ValueError: it is not such a time."""
        minute = text[:16]
        if minute != self._minute:
            self._seconds = _minute(minute)
            self._minute = minute
        if len(text) == 16:
            return self._seconds
        if text[16:17] != ":":
            raise ValueError(text)
        rest = text[17:].removesuffix("Z").removesuffix("+00:00")
        seconds = float(rest)
        if not 0.0 <= seconds < 61.0:
            raise ValueError(text)
        return self._seconds + seconds


def _minute(text: str) -> float:
    day, between, clock = text[:10], text[10:11], text[11:16]
    (year, month, date), (hour, minute) = (
        map(int, day.split("-")),
        map(int, clock.split(":")),
    )
    if not 1 <= month <= 12:
        raise RuleError("must have a month from 1 to 12")
    if not 1 <= date <= monthrange(year, month)[1]:
        raise RuleError("must have a day that its month has")
    if between not in (" ", "T") or not (0 <= hour < 24 and 0 <= minute < 60):
        raise ValueError(text)
    return float(timegm((year, month, date, hour, minute, 0)))
