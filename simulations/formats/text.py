"""Lines of a file, gzipped or not: a gigabyte, damage and bytes that are no text."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from io import BufferedIOBase, StringIO
from pathlib import Path

from simulations.trace import TraceError

LONGEST = 1 << 20
"""Bytes in a line: what has more is no list of requests."""

_BLOCK = 1 << 20
_END, _GZIP, _BOM = b"\n", b"\x1f\x8b", b"\xef\xbb\xbf"


def lines(path: Path, tell: Callable[[int], None] | None = None) -> Iterator[str]:
    """Yield each line with its end; no more than some megabytes are held at a time.

    *tell* is called now and then, with how many bytes of the file were read.
    TraceError: it cannot be read on, or what comes is no text in UTF-8.
    """
    number, rest = 0, b""
    try:
        with path.open("rb") as plain:
            zipped = plain.peek(2)[:2] == _GZIP
            for block in _blocks(gzip.GzipFile(fileobj=plain) if zipped else plain):
                whole, end, rest = (rest + block).rpartition(_END)
                if len(rest) > LONGEST:
                    number += whole.count(_END) + len(end)
                    raise TraceError(
                        f"{path.name}:{number + 1}: more than {LONGEST:,} bytes "
                        "without an end of line; a request is a line"
                    )
                yield from _text(whole + end, path.name, number)
                number += whole.count(_END) + len(end)
                if tell is not None and plain.seekable():
                    tell(plain.tell())
            yield from _text(rest, path.name, number)
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        after = f" after line {number}" if number else ""
        raise TraceError(f"{path}: cannot be read{after}: {why}") from error


def _blocks(file: BufferedIOBase) -> Iterator[bytes]:
    """Yield what is read, without the mark that some programs put before a text."""
    block = file.read(_BLOCK)
    yield block.removeprefix(_BOM)
    while block:
        block = file.read(_BLOCK)
        yield block


def _text(block: bytes, name: str, before: int) -> Iterator[str]:
    """Yield the lines of *block*, which *before* lines precede.

    A tail of null bytes is what a machine that lost its power leaves of a file: a last
    line that is cut off, not one of its lines.
    """
    null = block.find(b"\0")
    if null >= 0 and _END in block[null:]:
        line = before + block.count(_END, 0, null) + 1
        raise TraceError(f"{name}:{line}: a null byte; must be text in UTF-8")
    try:
        text = block.decode()
    except UnicodeDecodeError as error:
        line = before + block.count(_END, 0, error.start) + 1
        place = error.start - block.rfind(_END, 0, error.start)
        raise TraceError(
            f"{name}:{line}: not UTF-8 at byte {place} of the line; must be text in it"
        ) from error
    # Only "\n" ends a line here; str.splitlines would split at more.
    yield from StringIO(text, newline="\n")
