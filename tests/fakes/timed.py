"""A model server that takes as long as it is told: to start, and for each request.

    python timed.py --port=N --plan=FILE --claims=DIR

FILE is JSON: how long each start takes, by its number, and which of them fail. A
start's number is the first that no other has claimed in DIR. `GET /?s=0.3` takes 0.3 s.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path


def claim(place: Path) -> int:
    """Return the first number that nobody has, from 0."""
    number = 0
    while True:
        try:
            os.close(os.open(place / str(number), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            number += 1
        else:
            return number


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection, one after another."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            target = head.split(b" ", 2)[1]
            await asyncio.sleep(float(target.partition(b"s=")[2] or 0))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # The activator has closed it.
    finally:
        writer.close()


async def serve(port: int) -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("--claims", type=Path, required=True)
    given, _ = parser.parse_known_args()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    plan = json.loads(given.plan.read_text())
    number = claim(given.claims)
    time.sleep(plan["starts"][number % len(plan["starts"])])
    if number in plan["fails"]:
        sys.exit("CUDA error: out of memory")
    asyncio.run(serve(given.port))


if __name__ == "__main__":
    main()
