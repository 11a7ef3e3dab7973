"""What differs when files have changed, as far as the file system tells."""

from __future__ import annotations

import os
from collections.abc import Iterable

Look = tuple[str, int, int, int]
"""A path, and when it was written, its size and its inode; 0, if there is none."""
Signature = tuple[Look, ...]


def look(path: str) -> Look:
    """Return what there is at *path*, a file or a directory, now."""
    try:
        stat = os.stat(path)
    except OSError:
        return path, 0, 0, 0
    return path, stat.st_mtime_ns, stat.st_size, stat.st_ino


def signature(paths: Iterable[str]) -> Signature:
    """Return what differs when one of *paths* has changed."""
    return tuple([look(path) for path in paths])
