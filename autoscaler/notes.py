"""What a person should know about a document that is good enough to be used."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much a note matters."""

    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"
    """`up` starts nothing while there is one; `check` only says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One line of plain words."""

    level: Level = Level.NOTE
    service: str = ""
    """namespace/name of the InferenceService; empty: of a file."""
    file: str = ""
    line: int = 0
    text: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " if self.line else ""
        return f"{where}{self.text}"
