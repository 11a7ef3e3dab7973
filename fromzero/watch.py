"""See that files have changed, by asking the file system.

Asking beats being told here: it sees what is replaced by renaming, mounted, or changed
over a network, costs a stat for each file, and needs no thread.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable

_EVERY_S = 0.5

Signature = tuple[tuple[str, int, int, int], ...]


def signature(paths: Iterable[str]) -> Signature:
    """Return what differs when one of *paths*, files or directories, has changed."""
    found = []
    for path in paths:
        try:
            stat = os.stat(path)
        except OSError:
            found.append((path, 0, 0, 0))
        else:
            found.append((path, stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)


async def watch(
    paths: Callable[[], Iterable[str]],
    changed: Callable[[], Awaitable[None]],
    asked: asyncio.Event,
    every_s: float = _EVERY_S,
) -> None:
    """Await *changed* whenever *paths* are not what they were, or *asked* is set.

    What still changes from one look to the next is left alone until it rests: an
    editor or a copy is at work.
    """
    settled = before = signature(paths())
    while True:
        try:
            async with asyncio.timeout(every_s):
                await asked.wait()
        except TimeoutError:
            pass
        now = signature(paths())
        if asked.is_set() or (now != settled and now == before):
            asked.clear()
            await changed()
            # As it was before the reading: what changed meanwhile is seen next time.
            settled = now if set(_names(now)) == set(paths()) else signature(paths())
        before = now


def _names(of: Signature) -> tuple[str, ...]:
    return tuple(path for path, *_ in of)
