"""What requests have in common that should meet the same replica's caches."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MOST: Final = 65_536
"""Bytes of a prompt that may be asked for: so many are waited for before a choice."""

RULE: Final = f"header:NAME with a field's name, prompt:BYTES with 1 to {MOST}"

_FORM: Final = re.compile(
    r"header:([!#$%&'*+.^_`|~0-9a-z-]{1,64})|prompt:([1-9][0-9]{0,4})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Affinity:
    """One of the two."""

    header: str = ""
    """The value of this field; its name in lower case."""
    prompt: int = 0
    """So many bytes of the prompt, from its start."""


def affinity(text: str) -> Affinity | None:
    """Return what *text* says; None: it says nothing of the kind.

    >>> affinity("header:X-Session-Id")
    Affinity(header='x-session-id', prompt=0)
    >>> affinity("prompt:256")
    Affinity(header='', prompt=256)
    >>> affinity("prompt:65537") or affinity("header:") or affinity("first-free")
    """
    found = _FORM.fullmatch(text.lower())
    if found is None:
        return None
    header, prompt = found.groups()
    if header:
        return Affinity(header=header)
    size = int(prompt)
    return Affinity(prompt=size) if size <= MOST else None
