"""A place in a document: what stands there, and complaints that say where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from autoscaler.errors import Problem
from autoscaler.marked import Marked

_SHORT = 80


@dataclass(frozen=True, slots=True)
class Place:
    """One node of a document; what is wrong with it goes into *problems*.

    Each reading returns None for what is absent (null counts as absent) and for what
    is wrong; the complaint is made, so a caller goes on as if it were absent.
    """

    file: str
    path: str
    node: Marked
    problems: list[Problem] = field(compare=False)

    @property
    def line(self) -> int:
        """Line it begins on."""
        return self.node.line

    def bad(self, rule: str) -> None:
        """Complain about this place."""
        self.problems.append(
            Problem(
                file=self.file,
                line=self.line,
                field=self.path,
                value=shown(self.node),
                rule=rule,
            )
        )

    def lacks(self, keys: str, rule: str) -> None:
        """Complain that *keys*, joined by dots, is not here."""
        where = f"{self.path}.{keys}" if self.path else keys
        self.problems.append(
            Problem(file=self.file, line=self.line, field=where, rule=rule)
        )

    def at(self, *keys: str) -> Place | None:
        """Return the place below, key by key."""
        here: Place | None = self
        for key in keys:
            if here is None:
                return None
            here = here._child(key)
        return here

    def _child(self, key: str) -> Place | None:
        if not isinstance(self.node.data, dict):
            self.bad("must be a mapping")
            return None
        node = self.node.data.get(key)
        if node is None or node.data is None:
            return None
        return Place(self.file, self._under(key), node, self.problems)

    def items(self) -> Iterator[tuple[str, Place]]:
        """Walk a mapping."""
        if not isinstance(self.node.data, dict):
            self.bad("must be a mapping")
            return
        for key in self.node.data:
            if (child := self._child(key)) is not None:
                yield key, child

    def each(self) -> Iterator[Place]:
        """Walk a list."""
        if not isinstance(self.node.data, tuple):
            self.bad("must be a list")
            return
        for index, node in enumerate(self.node.data):
            yield Place(self.file, f"{self.path}[{index}]", node, self.problems)

    def text(self) -> str | None:
        """Read text."""
        if isinstance(self.node.data, str):
            return self.node.data
        self.bad("must be text (put it in quotes)" if self._plain else "must be text")
        return None

    def anything(self) -> str | None:
        """Read a scalar as the text that stands for it."""
        if not self._plain:
            self.bad("must be a single value")
            return None
        return shown(self.node)

    @property
    def _plain(self) -> bool:
        return not isinstance(self.node.data, tuple | dict)

    def flag(self) -> bool | None:
        """Read true or false."""
        if isinstance(self.node.data, bool):
            return self.node.data
        self.bad("must be true or false")
        return None

    def whole(self, low: int, high: int | None = None) -> int | None:
        """Read a whole number within bounds."""
        data = self.node.data
        if (
            isinstance(data, int)
            and not isinstance(data, bool)
            and low <= data
            and (high is None or data <= high)
        ):
            return data
        self.bad(
            f"must be a whole number in [{low}, {high}]"
            if high is not None
            else f"must be a whole number, {low} or more"
        )
        return None

    def one_of(self, words: Iterable[str]) -> str | None:
        """Read one of *words*."""
        known = tuple(words)
        if self.node.data in known:
            return str(self.node.data)
        self.bad(f"must be one of {', '.join(known)}")
        return None

    def _under(self, key: str) -> str:
        plain = key.replace("-", "").replace("_", "").isalnum()
        if not plain:
            return f'{self.path}["{key}"]'
        return f"{self.path}.{key}" if self.path else key


def shown(node: Marked) -> str:
    """Return *node* as one short piece of text."""
    match node.data:
        case None:
            return "null"
        case bool(flag):
            return "true" if flag else "false"
        case str(text):
            flat = " ".join(text.split())
            if not flat:
                return '""'
            return flat if len(flat) <= _SHORT else f"{flat[: _SHORT - 1]}…"
        case tuple(items):
            return f"[{len(items)} items]" if items else "[]"
        case dict(entries):
            return f"{{{len(entries)} fields}}" if entries else "{}"
        case number:
            return str(number)
