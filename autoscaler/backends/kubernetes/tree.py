"""JSON of an object -> the tree that settings are read from; whatever is in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from autoscaler.marked import Marked, Scalar

Shape = Mapping[str, Any] | None
"""The fields that are read, each with its own shape; None: all that is there."""

_NODES = 5_000
_DEPTH = 12
_TEXT = 1_024
"""Characters; no setting is longer, and a complaint need not repeat a megabyte."""
_DIGITS = 40
_TOO_MUCH = "(too big to be read)"


def pick(value: Any, shape: Shape) -> Any:
    """Return the fields of *value* that *shape* has; a list's items one by one.

    >>> pick({"a": [{"b": 1, "c": 2}, 3], "d": 4}, {"a": {"b": None}})
    {'a': [{'b': 1}, 3]}
    """
    if shape is None:
        return value
    if isinstance(value, Mapping):
        return {name: pick(value[name], shape[name]) for name in shape if name in value}
    if isinstance(value, list | tuple):
        return [
            pick(each, shape) if isinstance(each, Mapping) else each for each in value
        ]
    return value


def tree(value: Any) -> Marked:
    """Return *value* as a tree without lines; what is too big is a text saying so."""
    return _Grower().node(value, 1)


class _Grower:
    def __init__(self) -> None:
        self._left = _NODES

    def node(self, value: Any, depth: int) -> Marked:
        self._left -= 1
        if self._left < 0 or depth > _DEPTH:
            return Marked(_TOO_MUCH, 0)
        if isinstance(value, Mapping):
            if len(value) > self._left:
                return Marked(_TOO_MUCH, 0)
            return Marked(
                {str(key): self.node(each, depth + 1) for key, each in value.items()},
                0,
            )
        if isinstance(value, list | tuple):
            if len(value) > self._left:
                return Marked(_TOO_MUCH, 0)
            return Marked(tuple(self.node(each, depth + 1) for each in value), 0)
        return Marked(_scalar(value), 0)


def _scalar(value: Any) -> Scalar:
    match value:
        case None | bool():
            return value
        case str():
            return value[:_TEXT]
        case int():
            return (
                value if abs(value) < 10**_DIGITS else f"a number of >{_DIGITS} digits"
            )
        case float():
            return value if math.isfinite(value) else str(value)
        case _:
            return str(type(value).__name__)
