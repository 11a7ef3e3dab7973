"""What can go wrong in this package, as exceptions.

AutoscalerError
└── BadInput        documents or settings that cannot be used, with every problem

Each line that a person reads says what, value and rule: `Problem`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One thing that a person must change."""

    file: str = ""
    """File, flag or environment variable it was read from."""
    line: int = 0
    """0: it has no line."""
    field: str = ""
    value: str = ""
    """As it was written; empty: there is none."""
    rule: str
    """What must be true, or what to do."""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        named = self.field and self.value
        what = f"{self.field} = {self.value}," if named else self.field
        if what.endswith(",") or not what or self.rule.startswith(("is ", "must ")):
            said = f"{what} {self.rule}".strip()
        else:
            said = f"{what}: {self.rule}"
        return f"{where}: {said}" if where else said


class AutoscalerError(Exception):
    """Anything that this package raises for its callers."""


class BadInput(AutoscalerError):  # noqa: N818 - what people did, not what broke
    """Documents or settings that cannot be used; *problems* has them all."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(str(each) for each in self.problems))
