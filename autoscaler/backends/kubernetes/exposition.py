"""A page of metrics as Prometheus reads it, of which a few series are looked up."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator

MOST_BYTES = 4 << 20
"""A page of vLLM with all its histograms for ten adapters has a quarter of this."""

_MOST_SERIES = 10_000
"""Of one name: what is more makes the name unreadable, not the answer slow."""

# Possessive: what does not fit fails in one pass, whatever the bytes are.
_REST = re.compile(
    rb"[ \t]*+(?:\{((?:[^\"}\n]|\"(?:[^\"\\\n]|\\.)*+\")*+)\})?+[ \t]*+"
    rb"([-+.0-9eE]++|[-+]?[Nn][Aa][Nn]|[-+]?[Ii][Nn][Ff])(?![^ \t\r\n])"
)


class Page:
    """The bytes of one answer; whatever they are, asking of them never raises.

    >>> page = Page(b'# TYPE busy gauge\\nbusy{model="a"} 2\\nbusy{model="b"} 1.5\\n')
    >>> page.total("busy"), page.total("busy", model="b"), page.total("bus")
    (3.5, 1.5, None)
    """

    __slots__ = ("_text",)

    def __init__(self, answer: bytes) -> None:
        self._text = b"\n" + _unquoted(answer[:MOST_BYTES])

    def has(self, name: str) -> bool:
        """Say whether there is a series of that name, or the declaration of one.

        A server that has had no request yet may only have declared its families.
        """
        declared = b"\n# TYPE " + name.encode() + b" "
        return declared in self._text or next(self._series(name), None) is not None

    def total(self, name: str, **labels: str) -> float | None:
        """Return the sum of the series called *name* that have all *labels*.

        None: there is none. Not a number: one of them is no finite number, or they are
        too many.
        """
        found = False
        total = 0.0
        wanted = [
            re.compile(rb'(?:^|[,\s])%s\s*=\s*"%s"' % (key.encode(), word.encode()))
            for key, word in labels.items()
        ]
        for number, (text, value) in enumerate(self._series(name)):
            if number >= _MOST_SERIES:
                return math.nan
            if all(each.search(text) for each in wanted):
                found = True
                total += value
        if not found:
            return None
        return total if math.isfinite(total) else math.nan

    def _series(self, name: str) -> Iterator[tuple[bytes, float]]:
        """Yield the labels of each series of that name, as written, and its value."""
        text, start = self._text, b"\n" + name.encode()
        at = text.find(start)
        while at >= 0:
            end = at + len(start)
            if text[end : end + 1] in (b"{", b" ", b"\t"):
                line = _REST.match(text, end)
                if line is not None:
                    yield line[1] or b"", _number(line[2])
            at = text.find(start, end)


def _number(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _unquoted(answer: bytes) -> bytes:
    """Return the page: one release of llama.cpp sent it as a JSON string."""
    if answer[:1] != b'"':
        return answer
    try:
        return str(json.loads(answer)).encode()
    except ValueError:
        return answer
