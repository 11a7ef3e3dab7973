"""YAML and JSON text as a tree that knows its lines; built without recursion."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

Scalar = str | int | float | bool | None

_DEPTH = 64  # Kubernetes documents stay below 20.
_NODES = 200_000  # Aliases count as often as they are used, so no bomb gets through.
_DIGITS = 40
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLS = {
    form: word in ("true", "yes", "on")
    for word in ("true", "false", "yes", "no", "on", "off")
    for form in (word, word.capitalize(), word.upper())
}
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9_]*|0[0-7]+|0x[0-9a-fA-F]+|0o[0-7]+|0b[01]+)")
_FLOAT = re.compile(
    r"[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?|\.inf|\.Inf|\.INF)"
)
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Marked:
    """One node: what it holds and the line it begins on."""

    data: Scalar | tuple[Marked, ...] | dict[str, Marked]
    line: int
    nodes: int = 1
    """Nodes in it, aliases followed."""
    depth: int = 1


class MalformedError(Exception):
    """Text that is not a tree; translated into a Problem by documents.py."""

    def __init__(self, line: int, rule: str) -> None:
        self.line = line
        self.rule = rule
        super().__init__(rule)


def parse(text: str) -> tuple[Marked, ...]:
    """Return the documents of *text*; empty ones are left out."""
    try:
        return tuple(_Builder().documents(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        rule = (error.problem or error.context or "").strip()
        raise MalformedError(line, f"is not YAML: {rule}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise MalformedError(line, f"is not YAML: {error.reason}") from error
    except yaml.YAMLError as error:
        raise MalformedError(0, "is not YAML") from error


class _Open:
    """A sequence or mapping that has not ended."""

    __slots__ = (
        "anchor",
        "depth",
        "entries",
        "items",
        "key",
        "line",
        "merges",
        "nodes",
    )

    def __init__(self, line: int, anchor: str | None, *, mapping: bool) -> None:
        self.line = line
        self.anchor = anchor
        self.items: list[Marked] = []
        self.entries: dict[str, Marked] | None = {} if mapping else None
        self.merges: list[Marked] = []
        self.key: str | None = None
        self.nodes = 1
        self.depth = 1

    def add(self, node: Marked) -> None:
        self.nodes += node.nodes
        self.depth = max(self.depth, node.depth + 1)
        if self.nodes > _NODES or self.depth > _DEPTH:
            raise MalformedError(node.line, "is too big once its aliases are followed")
        if self.entries is None:
            self.items.append(node)
        elif self.key is None:
            self.key = _key(node)
            if self.key in self.entries and self.key != "<<":
                raise MalformedError(node.line, f"the key {self.key} is there twice")
        elif self.key == "<<":
            self._merge(node)
            self.key = None
        else:
            self.entries[self.key] = node
            self.key = None

    def _merge(self, node: Marked) -> None:
        each = node.data if isinstance(node.data, tuple) else (node,)
        for one in each:
            if not isinstance(one.data, dict):
                raise MalformedError(node.line, "<< needs a mapping")
            self.merges.append(one)

    def close(self) -> Marked:
        if self.entries is None:
            return Marked(tuple(self.items), self.line, self.nodes, self.depth)
        merged: dict[str, Marked] = {}
        for one in reversed(self.merges):
            assert isinstance(one.data, dict)
            merged |= one.data
        return Marked(merged | self.entries, self.line, self.nodes, self.depth)


class _Builder:
    def __init__(self) -> None:
        self._stack: list[_Open] = []
        self._anchors: dict[str, Marked] = {}

    def documents(self, text: str) -> Iterator[Marked]:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            line = event.start_mark.line + 1 if event.start_mark else 0
            match event:
                case yaml.DocumentStartEvent():
                    self._anchors.clear()
                case yaml.AliasEvent():
                    if event.anchor not in self._anchors:
                        raise MalformedError(
                            line, f"the alias *{event.anchor} has no anchor"
                        )
                    yield from self._place(self._anchors[event.anchor])
                case yaml.ScalarEvent():
                    node = Marked(_scalar(event, line), line)
                    yield from self._place(node, event.anchor)
                case yaml.SequenceStartEvent():
                    self._open(_Open(line, event.anchor, mapping=False))
                case yaml.MappingStartEvent():
                    self._open(_Open(line, event.anchor, mapping=True))
                case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                    top = self._stack.pop()
                    yield from self._place(top.close(), top.anchor)
                case _:
                    pass  # Stream and document ends say nothing more.

    def _open(self, one: _Open) -> None:
        if len(self._stack) >= _DEPTH:
            raise MalformedError(one.line, f"is nested deeper than {_DEPTH}")
        self._stack.append(one)

    def _place(self, node: Marked, anchor: str | None = None) -> Iterator[Marked]:
        if anchor:
            self._anchors[anchor] = node
        if self._stack:
            self._stack[-1].add(node)
        elif node.data is not None:
            yield node


def _key(node: Marked) -> str:
    match node.data:
        case str(text):
            return text
        case bool(flag):
            return "true" if flag else "false"
        case int() | float() as number:
            return str(number)
        case _:
            raise MalformedError(node.line, "a key must be text")


def _scalar(event: yaml.ScalarEvent, line: int) -> Scalar:
    text = str(event.value)
    tag = event.tag
    if tag in (None, "!"):
        return resolve(text) if event.implicit[0] and tag is None else text
    if tag == f"{_TAG}str":
        return text
    value = resolve(text)
    wanted = {"int": int, "float": float, "bool": bool, "null": type(None)}
    kind = wanted.get(tag.removeprefix(_TAG))
    if kind is None:
        raise MalformedError(line, f"the tag {tag} is not known here")
    if kind is float and isinstance(value, int):
        return float(value)
    if type(value) is not kind:
        raise MalformedError(line, f"{text} is not {tag.replace(_TAG, '!!')}")
    return value


def resolve(text: str) -> Scalar:
    """Return what a plain scalar means, as Kubernetes reads YAML.

    >>> [resolve(each) for each in ("8", "0.5", "yes", "~", "512Mi", "2024-01-01")]
    [8, 0.5, True, None, '512Mi', '2024-01-01']
    """
    if text in _NULL:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if len(text) > _DIGITS:
        return text
    if _INT.fullmatch(text):
        bare = text.replace("_", "").lstrip("+-")
        old_octal = len(bare) > 1 and bare.isdigit() and bare[0] == "0"
        number = int(bare, 8 if old_octal else 0)
        return -number if text[0] == "-" else number
    if _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf"))
    return text
