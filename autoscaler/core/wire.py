"""Facts as JSON values and back: strict about what is known, patient with what is not.

A field that this version does not know is ignored and one that is left out takes its
default, so that two versions can talk; a wrong value is refused by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Union, get_args, get_origin, get_type_hints

from autoscaler.core.domain import RevisionKey

VERSION = 1
"""Grows when an old reader would misread what a new writer means."""

Decoder = Callable[[object, str], object]


class WireError(ValueError):
    """What was received is not what was agreed; says field, value and rule."""


def encode(value: object) -> object:
    """Return *value*, a fact or part of one, as what `json.dumps` takes.

    >>> encode(RevisionKey("production", "iris"))
    ['production', 'iris']
    >>> encode(math.inf) is None
    True
    """
    kind: type = value.__class__
    if kind is float and value == math.inf:
        return None
    if kind in (float, str, int, bool, NoneType):
        return value
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    if not is_dataclass(value):
        raise TypeError(f"{kind.__name__} has no form on the wire")
    return {"type": kind.__name__} | {
        name: encode(getattr(value, name)) for name in _names(kind)
    }


def decode(of: object, data: object, where: str = "") -> object:
    """Return the fact of type *of* (a class or a union of classes) that *data* says.

    Raises WireError, with the path of the field below *where*.
    """
    return _decoder(of)(data, where or "message")


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


@cache
def _decoder(of: object) -> Decoder:
    if of in _SCALARS:
        return _SCALARS[of]
    if of is RevisionKey:
        return _key
    origin = get_origin(of)
    if origin is tuple:
        return _tuple(get_args(of))
    if origin in (Union, UnionType):
        return _union(get_args(of))
    if isinstance(of, type) and issubclass(of, StrEnum):
        return _enum(of)
    if isinstance(of, type) and is_dataclass(of):
        return _fact(of)
    raise TypeError(f"{of} has no form on the wire")


def _str(data: object, where: str) -> str:
    if data.__class__ is not str:
        raise WireError(f"{where} = {_short(data)}, must be text")
    return str(data)


def _bool(data: object, where: str) -> bool:
    if data.__class__ is not bool:
        raise WireError(f"{where} = {_short(data)}, must be true or false")
    return bool(data)


def _int(data: object, where: str) -> int:
    if not isinstance(data, int) or isinstance(data, bool):
        raise WireError(f"{where} = {_short(data)}, must be a whole number")
    return data


def _float(data: object, where: str) -> float:
    if data is None:
        return math.inf
    if not isinstance(data, int | float) or isinstance(data, bool):
        raise WireError(f"{where} = {_short(data)}, must be a number")
    try:
        number = float(data)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise WireError(f"{where} = {_short(data)}, must be finite")
    return number


def _none(data: object, where: str) -> None:
    if data is not None:
        raise WireError(f"{where} = {_short(data)}, must be null")


_SCALARS: dict[object, Decoder] = {
    str: _str,
    bool: _bool,
    int: _int,
    float: _float,
    NoneType: _none,
}


def _key(data: object, where: str) -> RevisionKey:
    if not isinstance(data, list) or len(data) != 2:
        raise WireError(f"{where} = {_short(data)}, must be [namespace, name]")
    return RevisionKey(_str(data[0], f"{where}[0]"), _str(data[1], f"{where}[1]"))


def _tuple(args: tuple[object, ...]) -> Decoder:
    if len(args) == 2 and args[1] is Ellipsis:
        item = _decoder(args[0])

        def many(data: object, where: str) -> object:
            if not isinstance(data, list):
                raise WireError(f"{where} = {_short(data)}, must be a list")
            return tuple(
                item(each, f"{where}[{index}]") for index, each in enumerate(data)
            )

        return many
    items = tuple(_decoder(each) for each in args)

    def fixed(data: object, where: str) -> object:
        if not isinstance(data, list) or len(data) != len(items):
            rule = f"must be a list of {len(items)}"
            raise WireError(f"{where} = {_short(data)}, {rule}")
        return tuple(
            item(each, f"{where}[{index}]")
            for index, (item, each) in enumerate(zip(items, data, strict=True))
        )

    return fixed


def _union(args: tuple[object, ...]) -> Decoder:
    rest = tuple(each for each in args if each is not NoneType)
    nullable = len(rest) < len(args)
    if len(rest) == 1:
        only = _decoder(rest[0])
        return lambda data, where: None if data is None else only(data, where)
    by_name = {getattr(each, "__name__", ""): _decoder(each) for each in rest}
    known = ", ".join(sorted(by_name))

    def tagged(data: object, where: str) -> object:
        if data is None and nullable:
            return None
        name = data.get("type") if isinstance(data, dict) else None
        one = by_name.get(name) if isinstance(name, str) else None
        if one is None:
            raise WireError(f"{where}.type = {_short(name)}, must be one of {known}")
        return one(data, where)

    return tagged


def _enum(of: type[StrEnum]) -> Decoder:
    known = ", ".join(of)

    def member(data: object, where: str) -> object:
        try:
            return of(_str(data, where))
        except ValueError:
            rule = f"must be one of {known}"
            raise WireError(f"{where} = {_short(data)}, {rule}") from None

    return member


def _fact(of: type) -> Decoder:
    hints = get_type_hints(of)
    parts = {field.name: _decoder(hints[field.name]) for field in fields(of)}
    required = [
        field.name
        for field in fields(of)
        if field.default is MISSING and field.default_factory is MISSING
    ]

    def fact(data: object, where: str) -> object:
        if not isinstance(data, dict):
            raise WireError(f"{where} = {_short(data)}, must be an object")
        for name in required:
            if name not in data:
                raise WireError(f"{where}.{name} is missing")
        return of(
            **{
                name: part(data[name], f"{where}.{name}")
                for name, part in parts.items()
                if name in data
            }
        )

    return fact


def _short(data: object) -> str:
    text = repr(data)
    return text if len(text) <= 40 else text[:37] + "..."
