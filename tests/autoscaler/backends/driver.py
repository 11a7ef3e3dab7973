"""A small fromzero that can be told to end in every way: python -m … PORT CACHE.

It runs one replica that calls at PORT, and does each line of its standard input.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from autoscaler.backends.base import Launch
from tests.autoscaler.backends.scene import CHILD, IRIS, local


async def main(port: str, cache: str) -> None:
    backend, _ = local(Path(cache))
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    async with backend:
        launch = Launch(
            command=(sys.executable, "-P", "-S", "-c", CHILD),
            env=(("CALL", port),),
            grace_s=0.1,
        )
        backend.configure(IRIS, launch)
        backend.scale(IRIS, 1, ())
        while line := await orders.readline():
            exec(line, {"os": os})


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
