"""See that files have changed, by asking the file system.

Asking beats being told here: it sees what is replaced by renaming, mounted, or changed
over a network, costs a stat for each file, and needs no thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from autoscaler.signature import Signature, signature

_EVERY_S = 0.5


async def watch(
    seen: Callable[[], Signature],
    changed: Callable[[], Awaitable[None]],
    asked: asyncio.Event,
    every_s: float = _EVERY_S,
) -> None:
    """Await *changed* whenever files are not as last *seen*, or *asked* is set.

    What still changes from one look to the next is left alone until it rests: an
    editor or a copy is at work.
    """
    last = settled = before = seen()
    while True:
        try:
            async with asyncio.timeout(every_s):
                await asked.wait()
        except TimeoutError:
            pass
        now = signature(path for path, *_ in last)
        if asked.is_set() or (now != settled and now == before):
            asked.clear()
            await changed()
            # What changed after it was read is seen next time.
            settled = now if seen() is last else seen()
            last = seen()
        before = now
