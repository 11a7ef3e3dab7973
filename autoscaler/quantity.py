"""Amounts as Kubernetes and Knative write them: 512Mi, 100m, 1h30m."""

from __future__ import annotations

import math
import re
from decimal import Decimal

_SCALE = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    "K": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}
_AMOUNT = re.compile(
    r"(?P<number>\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})"
    r"(?:(?P<exponent>[eE][-+]?\d{1,2})|(?P<unit>[numkKMGTPE]i?)B?)?"
)
_PART = re.compile(r"(\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})(ns|us|µs|ms|s|m|h)")
_SECONDS = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}


def amount(text: str) -> Decimal | None:
    """Return a Kubernetes quantity as a number; None: it is not one.

    >>> amount("512Mi"), amount("100m"), amount("2e3"), amount("lots")
    (Decimal('536870912'), Decimal('0.100'), Decimal('2E+3'), None)
    """
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        return None
    if exponent := found["exponent"]:
        return Decimal(found["number"] + exponent)
    scale = _SCALE.get(found["unit"] or "")
    return None if scale is None else Decimal(found["number"]) * scale


def whole_bytes(text: str) -> int | None:
    """Return bytes, rounded up; None: not an amount.

    >>> whole_bytes("1.5Ki"), whole_bytes("1G"), whole_bytes("16GiB"), whole_bytes("-1")
    (1536, 1000000000, 17179869184, None)
    """
    value = amount(text)
    return None if value is None else math.ceil(value)


def seconds(text: str) -> float | None:
    """Return a Go duration in seconds; a bare number is seconds; None: neither.

    >>> seconds("1m30s"), seconds("500ms"), seconds("90"), seconds("1d")
    (90.0, 0.5, 90.0, None)
    """
    text = text.strip()
    if re.fullmatch(r"\d{1,15}(?:\.\d{1,15})?", text):
        return float(text)
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return float(sum(Decimal(number) * _SECONDS[unit] for number, unit in parts))


def number(text: str) -> float | None:
    """Return a plain decimal number; None: not one.

    >>> number("0.7"), number("-1"), number("1e3"), number("nan"), number("0x1")
    (0.7, -1.0, 1000.0, None, None)
    """
    text = text.strip()
    if re.fullmatch(
        r"[-+]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][-+]?\d{1,2})?", text
    ):
        return float(text)
    return None


def in_words(size: int) -> str:
    """Return bytes for a person.

    >>> in_words(536870912), in_words(34359738368), in_words(1000)
    ('512 MiB', '32 GiB', '1000 bytes')
    """
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= scale:
            return f"{size / scale:.4g} {unit}"
    return f"{size} bytes"
