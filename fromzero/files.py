"""Files that a command makes: whole, or as they were before."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fromzero.errors import CommandError

_ESCAPED = "backslashreplace"


def write(path: Path, lines: Iterable[str]) -> None:
    """Write a text to *path*, or to what it links to; CommandError: it cannot be.

    A device or a pipe is written to, and stays what it is. What is no UTF-8, as names
    of files may be, is escaped.
    """
    try:
        path = path.resolve()
        if path.exists() and not path.is_file():
            with path.open("w", encoding="utf-8", errors=_ESCAPED) as file:
                file.writelines(lines)
            return
        part = path.with_name(f"{path.name}.part")
        try:
            with part.open("w", encoding="utf-8", errors=_ESCAPED) as file:
                file.writelines(lines)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(f"{path}: cannot be written: {error.strerror}") from error
