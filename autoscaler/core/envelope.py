"""Many messages in frames of bounded size, and out of them again.

A frame is `{"v": 1, "messages": [...]}`. What one message says wrong is told beside the
others; only what is no frame at all spoils it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar, get_args

from autoscaler.core.wire import WireError, decode, encode

LARGEST = 1 << 20
"""Characters of a frame at most; more is not read."""

USUAL = 1 << 18
"""A frame that has so many is full."""

WORD = 4096
"""Characters of a word of the handshake at most."""

W = TypeVar("W")

_HEAD = '{"v":%d,"messages":['
ROOM = 64
"""Characters of a frame that are not messages: head, end and seal."""

_dump = json.JSONEncoder(
    separators=(",", ":"), ensure_ascii=True, check_circular=False, allow_nan=False
).encode


@dataclass(slots=True)
class Opened:
    """What was in a frame."""

    messages: list[object] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    """Types that this version does not know: a newer one's, and of no meaning here."""
    wrong: list[str] = field(default_factory=list)
    """What is wrong with the others, one line for each."""


def written(message: object) -> str:
    """Return one message as it stands in a frame; WireError: it is too large."""
    text = _dump(encode(message))
    if len(text) > LARGEST - ROOM:
        kind = type(message).__name__
        rule = f"a frame has at most {LARGEST}"
        raise WireError(f"a {kind} has {len(text)} characters, {rule}")
    return text


def framed(texts: Iterable[str], version: int) -> str:
    """Return a frame with *texts*, which `written` returned."""
    return (_HEAD % version) + ",".join(texts) + "]}"


def opened(frame: str, of: object) -> Opened:
    """Return what is in *frame*, whose messages are of the union *of*.

    WireError: it is no frame.
    """
    if len(frame) > LARGEST:
        raise WireError(f"a frame has {len(frame)} characters, at most {LARGEST}")
    try:
        data = json.loads(frame, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a frame is not JSON: {error}") from error
    messages = data.get("messages") if isinstance(data, dict) else None
    if not isinstance(messages, list):
        raise WireError("a frame's messages are missing, must be a list")
    found, known = Opened(), _names(of)
    for each in messages:
        kind = each.get("type") if isinstance(each, dict) else None
        if isinstance(kind, str) and kind not in known:
            found.unknown.append(kind)
            continue
        try:
            found.messages.append(decode(of, each))
        except WireError as error:
            found.wrong.append(str(error))
    return found


def spoken(word: object) -> str:
    """Return a word of the handshake in its frame: of the first version, as always."""
    return framed([written(word)], 1)


def read(frame: str, of: object) -> object:
    """Return the one message of *of* that stands in *frame* alone; or WireError."""
    if len(frame) > WORD:
        raise WireError(f"a greeting has {len(frame)} characters, at most {WORD}")
    found = opened(frame, of)
    if found.unknown or found.wrong or len(found.messages) != 1:
        why = "; ".join([*found.wrong, *found.unknown]) or len(found.messages)
        raise WireError(f"a frame of the handshake has {why}, must be one message")
    return found.messages[0]


def expected(word: object, of: type[W]) -> W:
    """Return *word*, whose turn it is; WireError: it is another's."""
    if not isinstance(word, of):
        rule = f"must be {of.__name__}"
        raise WireError(f"a greeting has {type(word).__name__}, {rule}")
    return word


@cache
def _names(of: object) -> frozenset[str]:
    return frozenset(each.__name__ for each in get_args(of))


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no number")
