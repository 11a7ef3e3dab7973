"""Files that a command makes: whole, or as they were before."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from fromzero.errors import CommandError

_ESCAPED = "backslashreplace"


def ready(path: Path, read: Iterable[Path]) -> None:
    """Refuse what `write` could not write, before there is work to lose by it.

    Nor may it be one of the files that are *read*, which would be lost.
    """
    real = path.resolve()
    if real.is_file() and real in (each.resolve() for each in read):
        raise CommandError(f"{path}: is what is read; must be another file")
    if real.is_dir():
        why = errno.EISDIR
    elif not real.parent.is_dir():
        why = errno.ENOENT
    else:
        return
    raise CommandError(f"{real}: cannot be written: {os.strerror(why)}")


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
