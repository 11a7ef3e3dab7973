"""Fields of JSON that anybody may have written: of the type wanted, or as if absent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeGuard

from autoscaler.backends.kubernetes.facts import NOTHING

Raw = Mapping[str, Any]


def as_map(found: object) -> Raw:
    """Return an object as it is, anything else as an empty one."""
    return found if isinstance(found, dict) else {}


def as_list(found: object) -> list[Any]:
    """Return an array as it is, anything else as an empty one."""
    return found if isinstance(found, list) else []


def part(raw: object, name: str) -> Raw:
    """Return the object at *name*.

    >>> part({"spec": {"a": 1}}, "spec"), part({"spec": 3}, "spec"), part(None, "spec")
    ({'a': 1}, {}, {})
    """
    return as_map(as_map(raw).get(name))


def maps(raw: Raw, name: str) -> Iterator[Raw]:
    """Yield the objects of the array at *name*."""
    return (each for each in as_list(raw.get(name)) if isinstance(each, dict))


def text(raw: Raw, name: str) -> str:
    """Return the text at *name*."""
    found = raw.get(name)
    return found if isinstance(found, str) else ""


def texts(found: object, but: str = "") -> Mapping[str, str]:
    """Return what maps a name to a text, without the name *but*."""
    if not isinstance(found, dict) or not found:
        return NOTHING
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, str) and name != but
    }


def is_whole(found: object) -> TypeGuard[int]:
    """Say whether it is a number that counts something."""
    return isinstance(found, int) and not isinstance(found, bool) and found >= 0


def whole(raw: Raw, name: str, default: int = 0) -> int:
    """Return the count at *name*, if it is one that Kubernetes could store."""
    found = raw.get(name)
    return found if is_whole(found) and found < 1 << 63 else default


def moment(raw: Raw, name: str) -> float:
    """Return the time at *name* in seconds since 1970; 0: it is none.

    >>> moment({"at": "1970-01-02T00:00:00Z"}, "at"), moment({"at": "noon"}, "at")
    (86400.0, 0.0)
    """
    try:
        found = datetime.fromisoformat(text(raw, name))
    except ValueError:
        return 0.0
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
